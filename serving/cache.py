"""Answers that were given before, by model and inputs: for traffic in which the same inputs come again.

The key is the role and a digest of the decoded inputs of a whole request; every loaded package has a cache of its own,
which goes with it when another takes its place. Not a row but a request is looked up: a network may answer a row
otherwise in other company (dynamic INT8 takes one scale over all rows of a call), and a hit must be what the network
said. A hit counts as any answer does, in the split's figures, for drift and to the shadow: what is judged is the share
of the traffic, which the cache must not change. Only the network's own time is measured without it.
"""

from __future__ import annotations

from collections import OrderedDict
from hashlib import blake2b
from threading import Lock
from typing import Any

import numpy as np

from serving.inputs import Inputs
from serving.package import Role

Array = np.ndarray[Any, Any]


def key_of(role: Role, inputs: Inputs) -> bytes:
    """What an answer is found by: 16 bytes. Types and a row's shape are the package's, so only N is left to tell."""
    digest = blake2b(role.encode(), digest_size=16)
    for name, rows in inputs.items():
        digest.update(f"|{name}|{len(rows)}|".encode())
        digest.update(np.ascontiguousarray(rows).data)
    return digest.digest()


class Cache:
    """The answers that were asked for last, `rows_max` rows at most; none at all for 0."""

    def __init__(self, rows_max: int) -> None:
        self._rows_max, self._rows = rows_max, 0
        self._kept: OrderedDict[bytes, Array] = OrderedDict()
        self._lock = Lock()

    @property
    def on(self) -> bool:
        """Whether there is one."""
        return self._rows_max > 0

    def get(self, key: bytes) -> Array | None:
        """Probabilities (N, C) that were kept; not to be changed."""
        with self._lock:
            found = self._kept.get(key)
            if found is not None:
                self._kept.move_to_end(key)
            return found

    def put(self, key: bytes, shares: Array) -> None:
        """Keep probabilities (N, C), and let go what has not been asked for longest."""
        if len(shares) > self._rows_max:
            return
        shares.flags.writeable = False
        with self._lock:
            before = self._kept.pop(key, None)
            self._rows += len(shares) - (0 if before is None else len(before))
            self._kept[key] = shares
            while self._rows > self._rows_max:
                self._rows -= len(self._kept.popitem(last=False)[1])
