"""The page: its template, its style, its script, and what fills them."""
