"""The names of a checkpoint's tensors: read as other code writes them, and chosen by pattern."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from importlib import import_module
from typing import TYPE_CHECKING, Any

from tasks.core.errors import TechniqueError, nearest

if TYPE_CHECKING:
    from torch import Tensor


def translated(state: dict[str, Tensor], names: str | None, arch: str) -> dict[str, Tensor]:
    """`state` under this house's names; TechniqueError when tasks/models/<arch>.py does not know `names`."""
    if names is None:
        return state
    known: Mapping[str, Any] = getattr(import_module(f"tasks.models.{arch}"), "NAMES", {})
    if names not in known:
        found = f"names {names!r} of the architecture {arch}; allowed: {sorted(known) or 'none'}"
        raise TechniqueError(f"load: found {found}{nearest(names, known)}")
    return {renamed(name, known[names]): tensor for name, tensor in state.items()}


def renamed(name: str, patterns: tuple[tuple[str, str], ...]) -> str:
    """`name` by the first pattern that fits; unchanged when none does."""
    for pattern, replacement in patterns:
        if re.search(pattern, name):
            return re.sub(pattern, replacement, name)
    return name


def matching(patterns: tuple[str, ...], names: Mapping[str, Any]) -> list[str]:
    """The `names` that a pattern fits, in their order; TechniqueError when a pattern fits none."""
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise TechniqueError(f"load: fresh: no tensor {pattern!r} in the network{nearest(pattern, names)}")
    return [name for name in names if any(fnmatchcase(name, pattern) for pattern in patterns)]
