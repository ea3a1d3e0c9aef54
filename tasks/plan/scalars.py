"""YAML 1.2's core scalars, as DVC reads the same files: `1e-3` is a number, `no` is a word."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import yaml

TAG = "tag:yaml.org,2002:"
_LONGEST_NUMBER = 100


class CoreLoader(yaml.BaseLoader):
    """Builds nodes alone, never objects; plain scalars get the tag of YAML 1.2's core schema."""


for _name, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", list("-+.0123456789")),
    ("float", r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", list("-+.")),
):
    CoreLoader.add_implicit_resolver(TAG + _name, re.compile(rf"(?:{_pattern})\Z"), _first)


def _int(text: str) -> int:
    return int(text, 0) if text[:2] in ("0x", "0o") else int(text)


def _float(text: str) -> float:
    value = float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
    if not math.isfinite(value):
        raise ValueError("not finite")
    return value


def _str(text: str) -> str:
    text.encode("utf-8")  # half a surrogate pair, written as "\ud800", is a UnicodeError, which is a ValueError
    return text


_SCALARS: dict[str, Callable[[str], Any]] = {
    TAG + "null": lambda text: None,
    TAG + "bool": lambda text: text.lower() == "true",
    TAG + "int": _int,
    TAG + "float": _float,
    TAG + "str": _str,
}


def scalar(tag: str, text: str) -> Any:
    """The value of a scalar; ValueError when its text does not fit its tag, or the tag is none of the five."""
    if tag not in _SCALARS or (is_number(tag) and len(text) > _LONGEST_NUMBER):
        raise ValueError(text)
    return _SCALARS[tag](text)


def is_number(tag: str) -> bool:
    """Whether a scalar of this tag is a number."""
    return tag in (f"{TAG}int", f"{TAG}float")
