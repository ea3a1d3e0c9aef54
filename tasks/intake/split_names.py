"""What people call the splits of a data set, and what they are called here."""

from __future__ import annotations

from collections.abc import Iterable

from tasks.core.errors import DataError, nearest

SPLIT_OF = {"train": "train", "validation": "val", "valid": "val", "val": "val", "dev": "val", "test": "test"}


def splits_by_name(found: Iterable[str], where: str) -> dict[str, str]:
    """Our name of a split -> the name it was found under.

    Raises:
        DataError: a name is no split's, two mean the same split, or there is no `train`.
    """
    names: dict[str, str] = {}
    for name in found:
        if name not in SPLIT_OF:
            raise DataError(
                f"{where}: {name!r} is not a split{nearest(name, SPLIT_OF)} (allowed: {', '.join(SPLIT_OF)})"
            )
        if SPLIT_OF[name] in names:
            raise DataError(f"{where}: both {names[SPLIT_OF[name]]!r} and {name!r} mean {SPLIT_OF[name]}; keep one")
        names[SPLIT_OF[name]] = name
    if "train" not in names:
        raise DataError(f"{where}: no split called train (found: {', '.join(names.values()) or 'none'})")
    return names
