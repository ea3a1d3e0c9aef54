"""Reports and a benchmark with planted numbers, for the steps that only read them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tasks.core import artifact
from tasks.core.findings import Footprint, Harm, Interval, Limit, Marks, Noise
from tasks.core.results import Bench, Evaluation, Machine, Quality, Timing
from tasks.evidence.marks import mark
from tasks.evidence.standing import verdict
from tests.unit.fake_project import CLASSES, PARENTS

DEFAULTS: dict[str, dict[str, Any]] = {
    "baseline": {"accuracy": 0.95, "size_bytes": 1_000_000, "p50_ms": 1.0, "p95_ms": 1.5},
    "student": {"accuracy": 0.94, "size_bytes": 500_000, "p50_ms": 0.5, "p95_ms": 0.7},
    "student_int8": {"accuracy": 0.90, "size_bytes": 250_000, "p50_ms": 0.2, "p95_ms": 0.3},
}


def quality(accuracy: float, rows: int, recall: Mapping[str, float] | None = None) -> Quality:
    return Quality(
        rows=rows,
        accuracy=accuracy,
        macro_f1=accuracy,
        per_class_recall=dict(recall or dict.fromkeys(CLASSES, accuracy)),
        agreement=0.9,
        calibration_error=0.01,
    )


def harm(drops: Mapping[str, float], drop: float = 0.0, half: float = 0.01, **given: Any) -> Harm:
    """Planted harm: these drops of recall, each and that of accuracy within `half` either way."""

    def around(value: float) -> Interval:
        return Interval(value=value, low=value - half, high=value + half)

    plain = {"mcnemar_p": 1.0, "flips": 0.0, "mends": 0.0, "calibration_change": 0.0} | given
    return Harm(accuracy_drop=around(drop), recall_drop={k: around(v) for k, v in drops.items()}, **plain)


def marks(accuracy: float, rows: int) -> Marks:
    """Planted: the first rows are right, the last ones wrong."""
    return mark(np.arange(rows) < round(accuracy * rows), np.zeros(rows, np.int64))


def val_harm(reference: Mapping[str, Any], row: Mapping[str, Any]) -> Harm:
    """Planted: what these rows of DEFAULTS say was lost, half a point more or less."""
    before, after = (r.get("recall") or dict.fromkeys(CLASSES, r["accuracy"]) for r in (reference, row))
    half = 0.0 if row is reference else row.get("half", 0.005)
    given = row.get("val_harm", {})
    drop = round(reference["accuracy"] - row["accuracy"], 9)
    return harm({name: round(before[name] - after[name], 9) for name in before}, drop, half, **given)


def near(ratio: float, share: float = 0.05) -> Interval:
    """A ratio, five per cent more or less; of the reference itself it is 1 without doubt."""
    share *= ratio != 1.0
    return Interval(value=ratio, low=ratio * (1 - share), high=ratio * (1 + share))


def timing(p50_ms: float, p95_ms: float, reference: Mapping[str, float], batch: int) -> Timing:
    interval, tail = near(p50_ms / reference["p50_ms"]), near(p95_ms / reference["p95_ms"])
    same = interval.value == 1.0
    return Timing(
        threads=1,
        batch=batch,
        p5_ms=p50_ms * 0.9,
        p25_ms=p50_ms * 0.95,
        p50_ms=p50_ms,
        p75_ms=(p50_ms + p95_ms) / 2,
        p95_ms=p95_ms,
        p99_ms=p95_ms * 1.1,
        rows_per_s=1000 * batch / p50_ms,
        calls=100,
        rounds=30,
        ratio=interval,
        p95_ratio=tail,
        p99_ratio=tail,
        verdict="reference" if same else verdict(interval),
        precise=same,
        limit_share=0.25,
    )


def plant(
    changes: Mapping[str, Mapping[str, Any]] | None = None, *, baseline: float | None = None, leave_out: str = ""
) -> None:
    """Write reports/ and results/bench.json; `changes` overrides DEFAULTS row by row."""
    rows = {name: {**DEFAULTS[name], **(changes or {}).get(name, {})} for name in PARENTS}
    if baseline is not None:
        rows["baseline"]["accuracy"] = baseline
    timings = {}
    for name, row in rows.items():
        test = row.get("test_accuracy", row["accuracy"] - 0.01)
        recall = row.get("recall")
        base = rows["baseline"]
        base_test = quality(base.get("test_accuracy", base["accuracy"] - 0.01), 60, base.get("recall")).per_class_recall
        report = Evaluation(
            variant=name,
            model_sha256=f"{list(PARENTS).index(name)}" * 64,
            size_bytes=row["size_bytes"],
            parameters=row["size_bytes"] // 4,
            macs=row["size_bytes"],
            val=quality(row["accuracy"], 30, recall),
            test=quality(test, 60, recall),
            harm=harm({k: base_test[k] - r for k, r in quality(test, 60, recall).per_class_recall.items()}).model_copy(
                update=row.get("harm", {})
            ),
            val_harm=val_harm(rows["baseline"], row),
            marks=marks(test, 60),
            portability=row.get("portability"),
        )
        artifact.write_json(artifact.evaluation_file(name), report)
        if name != leave_out:
            timings[name] = tuple(timing(row["p50_ms"], row["p95_ms"], base, batch) for batch in (1, 4))
    machine = Machine(
        cpu="Any 9000",
        flags=("avx2", "avx512_vnni"),
        cores=2,
        load_before=0.1,
        load_after=0.9,
        versions={"python": "3.11.7", "onnxruntime": "1.32.0"},
    )
    artifact.write_json(artifact.BENCH, certificate(machine, timings))


def certificate(machine: Machine, timings: Mapping[str, tuple[Timing, ...]]) -> Bench:
    """A benchmark on a quiet machine."""
    start = Interval(value=5.0, low=4.0, high=6.0)
    foot = Footprint(cold_start_ms=start, peak_memory_mb=90.0, model_memory_mb=3.0)
    quiet = {"others_share": 0.0, "steal_share": 0.0, "clock_spread": 0.0, "frequency_mhz": None, "disturbances": ()}
    limit = Limit(threads=1, gmacs_per_s={"fp32": 50.0, "int8": 200.0}, reached_by={"fp32": "any", "int8": "any"})
    return Bench(
        reference="baseline",
        machine=machine,
        noise=Noise.model_validate(quiet),
        comparisons=4,
        confidence=0.9875,
        precision=0.02,
        timings=dict(timings),
        limits=(limit,),
        footprints=dict.fromkeys(timings, foot),
    )
