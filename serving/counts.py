"""What this process counts in one generation, to be reported as a `Tally`. Cheap: a request takes the lock once."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence
from threading import Lock
from typing import Any

import numpy as np

from serving.control.tally import CONFIDENCE_BINS, LATENCY_BINS, ShadowTally, Tally, VariantTally
from serving.metrics import SECONDS
from serving.package import ROLES, Role

Array = np.ndarray[Any, Any]


class _Variant:
    """The sums of one variant."""

    def __init__(self, classes: int) -> None:
        self.sums: Counter[str] = Counter()
        self.seconds = 0.0
        self.latency = [0] * LATENCY_BINS
        self.predicted = [0] * classes
        self.confidence = [0] * CONFIDENCE_BINS

    def tally(self, labels: Sequence[str]) -> VariantTally:
        predicted = {label: n for label, n in zip(labels, self.predicted, strict=True) if n}
        return VariantTally(
            **self.sums,
            latency=tuple(self.latency),
            latency_sum_s=self.seconds,
            predicted=predicted,
            confidence=tuple(self.confidence),
        )


class Counts:
    """Sums from the start of a generation, from any thread."""

    def __init__(self, labels: Sequence[str]) -> None:
        self._labels = tuple(labels)
        self._lock = Lock()
        self._variants = {role: _Variant(len(self._labels)) for role in ROLES}
        self._rest: Counter[str] = Counter()
        self._shadow: Counter[str] = Counter()
        self._kl_sum = 0.0
        self._flips: Counter[str] = Counter()
        self._inputs: dict[str, Array] = {}

    def answered(self, role: Role, seconds: float, shares: Array, classes: Sequence[int] | None = None) -> None:
        """A request answered in `seconds` with probabilities (N, C); `classes` (N,) where they are known already."""
        most = shares.argmax(axis=-1).tolist() if classes is None else classes
        sure = shares.max(axis=-1).tolist()
        with self._lock:
            into = self._variants[role]
            into.sums["requests"] += 1
            into.sums["rows"] += len(shares)
            into.seconds += seconds
            into.latency[bisect_left(SECONDS, seconds)] += 1
            for label, share in zip(most, sure, strict=True):
                into.predicted[label] += 1
                into.confidence[min(int(share * CONFIDENCE_BINS), CONFIDENCE_BINS - 1)] += 1

    def failed(self, role: Role | None) -> None:
        """A 5xx, of the variant where it is known."""
        self._one("errors", role)

    def refused(self, role: Role | None) -> None:
        """A 4xx, of the variant where it is known."""
        self._one("refused", role)

    def labelled(self, role: Role, right: int, wrong: int) -> None:
        """Feedback on rows that `role` had answered."""
        with self._lock:
            self._variants[role].sums.update(right=right, wrong=wrong)

    def cached(self, hits: int, misses: int) -> None:
        """Look-ups in the result cache."""
        with self._lock:
            self._rest.update(cache_hits=hits, cache_misses=misses)

    def shadowed(
        self, *, compared: int = 0, agreed: int = 0, dropped: int = 0, failed: int = 0, kl_sum: float = 0.0,
        flips: Mapping[str, int] | None = None,
    ) -> None:  # fmt: skip
        """Rows that the shadow compared, dropped or failed on; `flips` by the control's label."""
        with self._lock:
            self._shadow.update(compared=compared, agreed=agreed, dropped=dropped, failed=failed)
            self._kl_sum += kl_sum
            self._flips.update(flips or {})

    def inputs(self, seen: Mapping[str, Array]) -> None:
        """Rows by the reference's bins: {feature: counts (bins,)}."""
        with self._lock:
            for feature, counts in seen.items():
                self._inputs[feature] = self._inputs.get(feature, 0) + np.asarray(counts, np.int64)

    def tally(self) -> Tally:
        """All of it, as it stands now."""
        with self._lock:
            return Tally(
                control=self._variants["control"].tally(self._labels),
                treatment=self._variants["treatment"].tally(self._labels),
                shadow=ShadowTally(**self._shadow, kl_sum=self._kl_sum, flips=dict(self._flips)),
                inputs={feature: tuple(counts.tolist()) for feature, counts in self._inputs.items()},
                **self._rest,
            )

    def _one(self, what: str, role: Role | None) -> None:
        with self._lock:
            (self._rest if role is None else self._variants[role].sums)[what] += 1
