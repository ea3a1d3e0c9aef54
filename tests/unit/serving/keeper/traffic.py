"""Made-up counts of a service's answers, and a package whose reference they are compared with."""

from __future__ import annotations

import json
from bisect import bisect_left
from pathlib import Path
from typing import Any

from serving import package as packages
from serving.control.tally import LATENCY_BINS, ShadowTally, Tally, VariantTally
from serving.metrics import SECONDS
from serving.package import Package
from tests import made_package

REFERENCE = {
    "rows": 2000,
    "extremes": [0.0, 255.0],
    "features": {"mean": {"edges": [float(i) for i in range(1, 10)], "counts": [200] * 10}},
    "predicted": {role: {"zero": 700, "one": 700, "two": 600} for role in ("control", "treatment")},
    "confidence": {role: [0] * 10 + [200] * 10 for role in ("control", "treatment")},
    "disagreement": {"rows": 2000, "count": 14, "high": 0.01},
}
LIMITS = {"min_rows": 500, "hold_s": 0}


def package(folder: Path, *, reference: bool = True, **rollout: Any) -> Package:
    """A sealed package, on disk as the keeper reads it."""
    settings = {"judge": LIMITS, "shadow": {"share": 1.0}, "stages": [0.01, 0.1, 0.5, 0.9], **rollout}
    made_package.make(folder, **settings)
    if reference:
        (folder / "reference.json").write_text(json.dumps(REFERENCE))
        made_package.seal(folder)
    return packages.read(folder)


def tally(
    rows: int, *, share: float = 0.5, late: float = 0.0, control_late: float = 0.0, errors: float = 0.0,
    disagreed: float = 0.005, accuracy: tuple[float, float] = (0.9, 0.9), labelled: int = 0, shift: int = 0,
) -> Tally:  # fmt: skip
    """Counts of so many requests of one row: `share` of them the treatment's, every one compared with the control."""
    ours = round(rows * share)
    theirs = rows - ours
    shadow = ShadowTally(compared=ours, agreed=ours - round(ours * disagreed))
    counts = [rows // 10] * (10 - shift)
    return Tally(
        treatment=_variant(ours, late, errors, accuracy[0], labelled),
        control=_variant(theirs, control_late, 0.0, accuracy[1], labelled),
        shadow=shadow,
        inputs={"mean": (*(0,) * shift, *counts)},
    )


def _variant(rows: int, late: float, errors: float, accuracy: float, labelled: int) -> VariantTally:
    slow, failed, right = round(rows * late), round(rows * errors), round(labelled * accuracy)
    latency = [0] * LATENCY_BINS
    latency[bisect_left(SECONDS, 0.004)] = rows - failed - slow
    latency[bisect_left(SECONDS, 0.2)] = slow
    third, tenth = (rows - failed) // 3, (rows - failed) // 10
    return VariantTally(
        requests=rows - failed,
        rows=rows - failed,
        errors=failed,
        latency=tuple(latency),
        predicted={"zero": third, "one": third, "two": third},
        confidence=(0,) * 10 + (tenth,) * 10,
        right=right,
        wrong=labelled - right,
    )
