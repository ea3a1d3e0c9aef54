"""Which rows a variant answers rightly, kept as one bit a row, and what any two variants differ by on the same rows.

The interval is that of tasks/evidence/harm.py: what both answer alike does not widen it. Shapes: N rows.
"""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import numpy as np

from tasks.core.errors import ArtifactError
from tasks.core.findings import Interval, Marks
from tasks.evidence.harm import paired_drop

Array = np.ndarray[Any, Any]
PIECE = 100  # characters


def mark(right: Array, labels: Array) -> Marks:
    """The marks of the rows (N,) that are `right` or not, whose labels (N,) are these."""
    digest = hashlib.sha256(np.ascontiguousarray(labels, dtype="<i8").tobytes()).hexdigest()
    text = base64.b64encode(np.packbits(right).tobytes()).decode("ascii")
    return Marks(labels_sha256=digest, right=tuple(text[k : k + PIECE] for k in range(0, len(text), PIECE)))


def right(marks: Marks, rows: int) -> Array:
    """The same as bool (rows,)."""
    bits = np.frombuffer(base64.b64decode("".join(marks.right)), dtype=np.uint8)
    return np.unpackbits(bits, count=rows).astype(bool)


def change(new: Marks, old: Marks, rows: int) -> Interval:
    """Accuracy of `new` minus that of `old` on the same `rows` rows; ArtifactError where they are not the same ones.

    Two that are right on the very same rows are not thereby said to be equal: a half is added to each count.
    """
    if new.labels_sha256 != old.labels_sha256:
        raise ArtifactError("reports/: variants were measured on different test rows; run again")
    drop = paired_drop(right(old, rows), right(new, rows))
    return Interval(value=-drop.value, low=-drop.high, high=-drop.low)
