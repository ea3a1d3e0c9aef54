"""Views of MLflow's experiment page: the table of all runs, and charts that compare the variants of one run.

MLflow keeps a shared view as a tag of the experiment: /runs?viewStateShareKey=KEY. It takes either such a view or a
filter in the address, never both, so every comparison has a view of its own, which filters on the runs that it is of,
also on those that an earlier run had logged. The key comes from these runs: the same comparison is kept once.
"""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from collections.abc import Sequence
from typing import Any

TABLE = "stillroom"
_VIEW = "mlflow.sharedViewState"
_CHARTS = (
    {"type": "SCATTER", "xaxis": "latency_p50_ms", "yaxis": "test_accuracy"},
    {"type": "SCATTER", "xaxis": "size_bytes", "yaxis": "test_accuracy"},
    {"type": "BAR", "metricKey": "latency_ratio"},
    {"type": "BAR", "metricKey": "test_accuracy_drop_high"},
    {"type": "BAR", "metricKey": "test_worst_class_drop_high"},
    {"type": "BAR", "metricKey": "peak_memory_mb"},
    {"type": "BAR", "metricKey": "joules_per_request"},
    {"type": "BAR", "metricKey": "portability_disagreement"},
)
_SECTION = "stillroom"
_COLUMNS = (
    "metrics.`test_accuracy`",
    "metrics.`latency_ratio`",
    "metrics.`size_bytes`",
    "tags.`technique`",
    "tags.`chosen`",
)


def save_table(client: Any, experiment: Any) -> None:
    """The columns of the table of all runs, kept with the experiment unless they are already."""
    key, told = f"{_VIEW}.{TABLE}", json.dumps({"selectedColumns": _COLUMNS})
    if experiment.tags.get(key) != told:
        client.set_experiment_tag(experiment.experiment_id, key, told)


def save_charts(client: Any, experiment_id: str, runs: Sequence[str]) -> None:
    """The charts that compare these runs and no others, under `charts_key`."""
    told = base64.b64encode(zlib.compress(json.dumps(charts(runs)).encode(), 9)).decode()
    client.set_experiment_tag(experiment_id, f"{_VIEW}.{charts_key(runs)}", f"deflate;{told}")


def charts_key(runs: Sequence[str]) -> str:
    """Of the view that compares these runs, in whatever order they are named."""
    return hashlib.sha256(" ".join(sorted(runs)).encode()).hexdigest()[:16]


def charts(runs: Sequence[str]) -> dict[str, Any]:
    """The view, in the form in which MLflow keeps one."""
    found = []
    for k, chart in enumerate(_CHARTS):
        axes = {
            axis: {"key": key, "type": "METRIC", "index": 0} for axis, key in chart.items() if axis.endswith("axis")
        }
        common = {"uuid": f"stillroom-{k}", "metricSectionId": _SECTION, "deleted": False, "isGenerated": False}
        found.append({**common, "runsCountToCompare": len(runs), **chart, **axes})
    section = {"uuid": _SECTION, "name": "Stillroom", "display": True, "isReordered": False, "deleted": False}
    return {
        "selectedColumns": _COLUMNS,
        "searchFilter": f"attributes.run_id IN ({', '.join(repr(run) for run in sorted(runs))})",
        "orderByKey": "metrics.`latency_ratio`",  # sorted by anything but time, variants are not folded into their runs
        "orderByAsc": True,
        "runsHiddenMode": "SHOW_ALL",
        "compareRunCharts": found,
        "compareRunSections": [{**section, "isGenerated": False}],
    }
