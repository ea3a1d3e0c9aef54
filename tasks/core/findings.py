"""What follows from measurements of one variant: parts of what the measuring steps write (see `results`)."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from tasks.core.frozen import Frozen
from tasks.core.natural import by_name


class Interval(Frozen):
    """A value and its 95 % interval."""

    value: float
    low: float
    high: float


class Fairness(Frozen):
    """The greatest differences between groups, of rates from 0 to 1 (see tasks/evidence/fairness.py)."""

    demographic_parity_difference: float
    equalized_odds_difference: float


class Harm(Frozen):
    """Who lost against the reference, row by row of a split; drops are reference minus variant, a gain is negative.

    `accuracy_drop` has a paired 95 % interval and `mcnemar_p` the exact test of no change. A model beside itself loses
    nothing: its intervals have no width. `flips` is the share of rows
    that went from right to wrong, `mends` from wrong to right. The intervals of `recall_drop` hold together with 95 %
    over all classes, those of `group_drop` (accuracy) over all groups; `hurt_classes` and `hurt_groups` are those whose
    whole interval lies above 0. `never_predicted`: classes that occur, that the reference finds and this variant never
    answers; `constant`: every row got the same answer. `calibration_change`: variant minus reference.
    `fairness` is null for data without two groups.
    """

    accuracy_drop: Interval
    mcnemar_p: float
    flips: float
    mends: float
    recall_drop: Annotated[dict[str, Interval], AfterValidator(by_name)]
    group_drop: Annotated[dict[str, Interval], AfterValidator(by_name)] = Field(default_factory=dict)
    hurt_classes: tuple[str, ...] = ()
    hurt_groups: tuple[str, ...] = ()
    never_predicted: tuple[str, ...] = ()
    constant: bool = False
    calibration_change: float
    fairness: Fairness | None = None
    reference_fairness: Fairness | None = None


class Marks(Frozen):
    """Which rows of `test` a variant answers rightly, so that any two variants can be compared row by row.

    `right` is base64 of one bit a row, the first row in the highest bit, in pieces: DVC shows texts among its metrics,
    but no lists. `labels_sha256`, of the labels in their order, tells whether two variants were asked the same rows.
    """

    labels_sha256: str
    right: tuple[str, ...]


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


class Noise(Frozen):
    """How quiet the machine was while the rounds ran; `disturbances` says in words what was not.

    `others_share` is the processor time that other processes took and `steal_share` what the hypervisor gave to other
    guests, of all processors' time; null where the system does not count it. `clock_spread`: how much longer a fixed
    piece of work took in a slow round (95th percentile) than in a fast one (5th), less 1: frequency, heat, throttling.
    `frequency_mhz` is what the system says of the clock, lowest and highest; null where it says nothing.
    """

    others_share: float
    steal_share: float | None
    clock_spread: float
    frequency_mhz: tuple[float, float] | None
    disturbances: tuple[str, ...]


class Limit(Frozen):
    """The machine's best rates of matrix multiplication at a thread count, by arithmetic, and who reached them."""

    threads: int
    gmacs_per_s: dict[str, float]
    reached_by: dict[str, str]


class Footprint(Frozen):
    """What a variant costs before its first answer: opening the file and one answer, and the memory of a process.

    `peak_memory_mb` is the most that a fresh process holds which loads it and answers every batch size of the plan;
    `model_memory_mb` is what that is more than before the model was opened.
    """

    cold_start_ms: Interval
    peak_memory_mb: float
    model_memory_mb: float


class Worth(Frozen):
    """What a request costs under the assumptions of `choose.worth`; RAPL counts all that ran on the processor."""

    cost_per_million: float
    currency: str
    joules_per_request: float
    joules_from: Literal["RAPL", "estimate"]
    grams_co2_per_million: float
