"""A file that was read, and each mistake in it as one line of text."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tasks.core.errors import nearest

Keys = tuple[str | int, ...]
MISSING: Final = object()
_LONGEST = 60
_MOST_NAMES = 24


@dataclass(frozen=True)
class Problem:
    """Where a file is wrong, what was found there, what is allowed, and a hint that follows straight on."""

    file: Path
    path: Keys
    found: str
    allowed: str
    hint: str = ""
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.file, self.line, self.column) if part is not None)
        key = f" {dotted(self.path)}:" if self.path else ""
        text = f"{place}:{key} found {self.found}; allowed: {self.allowed}{self.hint}"
        return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def dotted(path: Keys) -> str:
    """`variants.student.lr`, `bench.batch[1]`; a key that is no plain word is quoted, so that a line stays a line."""
    text = ""
    for key in path:
        if isinstance(key, int):
            text += f"[{key}]"
        elif key.isascii() and key.replace("_", "").replace("-", "").isalnum() and len(key) <= _LONGEST:
            text += f".{key}"
        else:
            text += f"[{show(key)}]"
    return text.removeprefix(".")


def show(value: Any) -> str:
    """A value of a YAML file in one short line, as a person would have typed it."""
    if value is MISSING:
        return "nothing"
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "a mapping" if value else "an empty mapping"
    text = f"[{', '.join(show(item) for item in value[:_LONGEST])}]" if isinstance(value, list) else repr(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def bare(text: str) -> str:
    """Text without quotes, on one line; what cannot be printed is escaped."""
    return repr(text)[1:-1].replace("\\'", "'")


def listed(names: tuple[str, ...]) -> str:
    """The names, or as many of them as a person will read."""
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return ", ".join(names[:_MOST_NAMES]) + more


@dataclass
class Document:
    """A file that was read: its mapping, the line of each key, and what is wrong with it so far."""

    file: Path
    value: dict[str, Any] = field(default_factory=dict)
    lines: dict[Keys, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    unread: set[Keys] = field(default_factory=set)
    nodes: int = 0

    @property
    def readable(self) -> bool:
        """Whether there is a mapping to check at all."""
        return () not in self.unread

    def problem(self, path: Keys, found: str, allowed: str, hint: str = "") -> None:
        """Note a problem at `path`, unless what stands there could not be read anyway."""
        if path in self.unread or not self.readable:
            return
        line = next((self.lines[path[:n]] for n in range(len(path), 0, -1) if path[:n] in self.lines), None)
        self.problems.append(Problem(self.file, path, found, allowed, hint, line))

    def give_up(self, found: str, allowed: str, *, line: int | None = None, column: int | None = None) -> None:
        """Note why nothing of the file can be checked."""
        self.problems.append(Problem(self.file, (), found, allowed, line=line, column=column))
        self.unread.add(())

    def choice(self, path: Keys, value: Any, names: tuple[str, ...]) -> str | None:
        """`value` when it is one of `names`; None, and a problem with the nearest name, when it is not."""
        if isinstance(value, str) and value in names:
            return value
        hint = nearest(value, names) if isinstance(value, str) else ""
        self.problem(path, show(value), listed(names) or "nothing, for there is none", hint)
        return None
