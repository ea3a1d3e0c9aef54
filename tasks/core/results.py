"""What the measuring steps write under reports/ and results/: nouns, with the units in their names.

Sizes are bytes, times are milliseconds, shares and accuracies are fractions of one.
"""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from tasks.core.artifact import BENCH
from tasks.core.errors import ArtifactError
from tasks.core.findings import Footprint, Harm, Interval, Limit, Marks, Noise, Portability, Worth
from tasks.core.frozen import Frozen
from tasks.core.natural import by_name
from tasks.core.points import EngineName, Point


class Quality(Frozen):
    """How well a variant answers on one split.

    `agreement` is the share of rows where its top class equals the reference's. `calibration_error` is the expected
    calibration error with 15 equal-width bins (Guo et al. 2017, arXiv:1706.04599). `per_group_accuracy` is empty for
    data without groups; a class with no rows is left out of `per_class_recall`.
    """

    rows: int
    accuracy: float
    macro_f1: float
    per_class_recall: Annotated[dict[str, float], AfterValidator(by_name)]
    per_group_accuracy: Annotated[dict[str, float], AfterValidator(by_name)] = Field(default_factory=dict)
    agreement: float
    calibration_error: float


class Evaluation(Frozen):
    """reports/<variant>.json: everything deterministic that is known of a variant's ONNX file.

    `harm` is what it does to the reference's answers on test, `val_harm` on val; `marks` are its answers on test.
    `portability` is null for a file that multiplies no 8-bit integers.
    """

    variant: str
    model_sha256: str
    size_bytes: int
    parameters: int
    macs: int
    val: Quality
    test: Quality
    harm: Harm
    val_harm: Harm
    marks: Marks
    portability: Portability | None = None


class Timing(Frozen):
    """One variant on one engine at one thread count and batch size.

    `ratio` is its latency over the reference's, under 1 is faster; `verdict` says no more than that interval supports,
    and `precise` whether it is as narrow as the plan asks. `limit_share` is the time that the multiplications would
    take at the machine's best rate over `p50_ms`; null where the work depends on the row. `agreement` is the share of
    rows that get the top class that ONNX Runtime gives them. `p95_ratio` and `p99_ratio` are those of the slow calls
    over the reference's (tasks/core/tails.py). `round_ms` is the median call of each round, or the mean
    (`by_mean`) where the work depends on the row: two variants of one benchmark can be compared round by round.
    """

    engine: EngineName = "onnxruntime"
    threads: int
    batch: int
    p5_ms: float
    p25_ms: float
    p50_ms: float
    p75_ms: float
    p95_ms: float
    p99_ms: float
    rows_per_s: float
    calls: int
    rounds: int
    ratio: Interval
    p95_ratio: Interval
    p99_ratio: Interval
    verdict: Literal["reference", "faster", "slower", "no significant change"]
    precise: bool
    limit_share: float | None = None
    agreement: float = 1.0
    round_ms: tuple[float, ...] = ()
    by_mean: bool = False

    @property
    def point(self) -> Point:
        """Where it was taken."""
        return Point(self.engine, self.threads, self.batch)


class Machine(Frozen):
    """Where a benchmark ran."""

    cpu: str
    flags: tuple[str, ...]
    cores: int
    load_before: float
    load_after: float
    versions: dict[str, str]


class Bench(Frozen):
    """results/bench.json, the speed-up certificate.

    All `comparisons` of a variant with the reference, three at each point (its typical call, p95, p99), hold together
    with 95 %, each by itself with `confidence`.
    `precision` is the half width, as a share of the ratio, at which rounds were to end. `joules_per_row`: as the
    processor counts energy; empty where it cannot be asked. `pinned`: on which processors so many threads were kept.
    """

    reference: str
    machine: Machine
    noise: Noise
    comparisons: int
    confidence: float
    precision: float
    timings: dict[str, tuple[Timing, ...]]
    limits: tuple[Limit, ...] = ()
    footprints: dict[str, Footprint] = Field(default_factory=dict)
    joules_per_row: dict[str, float] = Field(default_factory=dict)
    pinned: dict[int, tuple[int, ...]] = Field(default_factory=dict)

    def timing(self, name: str, point: Point) -> Timing:
        """That of a variant at a point; ArtifactError when it was not taken."""
        for timing in self.timings.get(name, ()):
            if timing.point == point:
                return timing
        raise ArtifactError(f"{BENCH}: no entry for {name!r} at {point}; `stillroom run` measures it")


class Candidate(Frozen):
    """One variant as `choose` sees it: its values on `val`, and by how much it misses each bound (empty: it fits).

    `upper` holds the upper ends of the 95 % intervals, which the bounds are for. `barred`: why it may not be chosen
    whatever its values are; empty when it may.
    """

    values: dict[str, float]
    upper: dict[str, float] = Field(default_factory=dict)
    gaps: dict[str, float]
    barred: str = ""

    @property
    def fits(self) -> bool:
        """Whether it may be chosen."""
        return not self.gaps and not self.barred


class Chosen(Frozen):
    """results/chosen.json. `front` is the Pareto front over `axes`.

    `tied` keep the budget too and are not shown to be slower in `prefer`, where that is a latency: its interval over
    the chosen one's does not lie above 1.
    """

    variant: str
    reference: str
    prefer: str
    front: tuple[str, ...]
    candidates: dict[str, Candidate]
    axes: tuple[str, ...] = ()
    tied: tuple[str, ...] = ()
    worth: dict[str, Worth] = Field(default_factory=dict)


class SummaryRow(Frozen):
    """One line of the table at the end of a run. `accuracy` and its drop (reference minus variant) are on `test`.

    `drop_interval` is that of the drop, row by row. `step_change`: accuracy minus that of the row before it on the way
    from the reference (its parent; of a row without one the reference), row by row, and `step_latency` its latency
    over that one's, round by round; null for the reference. `collapsed`: what the collapse alarm says on test, if
    anything.
    """

    variant: str
    parent: str
    technique: str
    size_bytes: int
    accuracy: float
    accuracy_drop: float
    drop_interval: Interval
    step_change: Interval | None
    step_latency: Interval | None = None
    latency_ratio: Interval
    on_front: bool
    chosen: bool
    collapsed: str = ""


class Summary(Frozen):
    """results/summary.json: the table, the verdict in one line, and what to weigh before the chosen variant ships.

    Latencies are those on `engine` at `threads` and `batch`.
    """

    headline: str = ""
    cautions: tuple[str, ...] = ()
    reference: str
    chosen: str
    engine: EngineName = "onnxruntime"
    threads: int
    batch: int
    rows: tuple[SummaryRow, ...]

    @property
    def on_engine(self) -> str:
        """` on openvino`, to be said of latencies that are not of ONNX Runtime on the processor; else empty."""
        return "" if self.engine == "onnxruntime" else f" on {self.engine}"


class PackageManifest(Frozen):
    """results/package/manifest.json: every file of the package with its SHA-256, and which model plays which role."""

    control: str
    treatment: str
    files: dict[str, str]
