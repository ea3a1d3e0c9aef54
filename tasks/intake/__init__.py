"""From raw data to checked splits: pictures, labels, carving, facts of the rows, and what a validation found."""
