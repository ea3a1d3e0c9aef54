"""Tables in Markdown, as MLflow's pages need them."""

from __future__ import annotations

SPACE = "&ensp; |"


def spaced(text: str) -> str:
    """The same Markdown with a space at the end of every cell of a table: MLflow's pages draw them without any."""
    lines = (
        line if not line.startswith("| ") or line.startswith("| ---") else line[0] + line[1:].replace(" |", SPACE)
        for line in text.split("\n")
    )
    return "\n".join(lines)
