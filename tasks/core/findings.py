"""What follows from measurements of one variant: parts of what the measuring steps write (see `results`)."""

from typing import Literal

from pydantic import Field

from tasks.core.frozen import Frozen


class Portability(Frozen):
    """Whether an INT8 file answers alike on x86 processors without VNNI, where sums of two products saturate.

    `disagreement` is the share of `rows` of val that get another top class there, `logits_difference` the largest
    change of a logit over how much logits vary from row to row, `sums_clipped` how many sums of which layer saturate.
    Null where nothing was emulated: no need (portable by proof), or no way (not judged; `sentence` says why).
    """

    verdict: Literal["portable by proof", "portable on sample", "differs", "not judged"]
    sentence: str
    layers: int
    layers_at_risk: tuple[str, ...] = ()
    rows: int = 0
    disagreement: float | None = None
    logits_difference: float | None = None
    sums_clipped: dict[str, int] = Field(default_factory=dict)


class Worth(Frozen):
    """What a request costs under the assumptions of `choose.worth`; RAPL counts all that ran on the processor."""

    cost_per_million: float
    currency: str
    joules_per_request: float
    joules_from: Literal["RAPL", "estimate"]
    grams_co2_per_million: float
