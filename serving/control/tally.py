"""What one worker counted in one generation. Every figure is a sum from the start, so reports merge by adding up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import zip_longest

from pydantic import Field

from serving.metrics import SECONDS
from serving.shapes import Frozen

CONFIDENCE_BINS = 20  # equal ones over [0, 1]
LATENCY_BINS = len(SECONDS) + 1  # the last is everything slower


class VariantTally(Frozen):
    """The answers of one variant. `latency[i]` counts answers within SECONDS[i] and above the bound before it."""

    requests: int = 0
    rows: int = 0
    errors: int = 0  # 5xx
    refused: int = 0  # 4xx after the variant was known
    latency: tuple[int, ...] = (0,) * LATENCY_BINS
    latency_sum_s: float = 0
    predicted: dict[str, int] = Field(default_factory=dict)  # by label
    confidence: tuple[int, ...] = (0,) * CONFIDENCE_BINS  # rows by the largest probability
    right: int = 0  # labelled feedback
    wrong: int = 0

    def __add__(self, other: VariantTally) -> VariantTally:
        return VariantTally(
            requests=self.requests + other.requests,
            rows=self.rows + other.rows,
            errors=self.errors + other.errors,
            refused=self.refused + other.refused,
            latency=_together(self.latency, other.latency),
            latency_sum_s=self.latency_sum_s + other.latency_sum_s,
            predicted=_merged(self.predicted, other.predicted),
            confidence=_together(self.confidence, other.confidence),
            right=self.right + other.right,
            wrong=self.wrong + other.wrong,
        )


class ShadowTally(Frozen):
    """The treatment's answers against the control's on the same rows. `flips` is by the control's label."""

    compared: int = 0
    agreed: int = 0
    dropped: int = 0
    failed: int = 0
    kl_sum: float = 0  # of KL(control || treatment) in nats
    flips: dict[str, int] = Field(default_factory=dict)

    def __add__(self, other: ShadowTally) -> ShadowTally:
        return ShadowTally(
            compared=self.compared + other.compared,
            agreed=self.agreed + other.agreed,
            dropped=self.dropped + other.dropped,
            failed=self.failed + other.failed,
            kl_sum=self.kl_sum + other.kl_sum,
            flips=_merged(self.flips, other.flips),
        )


class Tally(Frozen):
    """All of it. `inputs` counts rows over the reference's bins, by feature."""

    control: VariantTally = VariantTally()
    treatment: VariantTally = VariantTally()
    shadow: ShadowTally = ShadowTally()
    inputs: dict[str, tuple[int, ...]] = Field(default_factory=dict)
    cache_hits: int = 0
    cache_misses: int = 0
    refused: int = 0  # 4xx, and
    errors: int = 0  # 5xx, before a variant was known

    def __add__(self, other: Tally) -> Tally:
        names = {**self.inputs, **other.inputs}
        return Tally(
            control=self.control + other.control,
            treatment=self.treatment + other.treatment,
            shadow=self.shadow + other.shadow,
            inputs={name: _together(self.inputs.get(name, ()), other.inputs.get(name, ())) for name in names},
            cache_hits=self.cache_hits + other.cache_hits,
            cache_misses=self.cache_misses + other.cache_misses,
            refused=self.refused + other.refused,
            errors=self.errors + other.errors,
        )


def merged(tallies: Iterable[Tally]) -> Tally:
    """The sum of several workers' tallies; an empty one of none."""
    return sum(tallies, start=Tally())


def _together(one: tuple[int, ...], other: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(a + b for a, b in zip_longest(one, other, fillvalue=0))


def _merged(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    return {key: one.get(key, 0) + other.get(key, 0) for key in {**one, **other}}
