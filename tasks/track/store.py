"""Where MLflow keeps what we log, and the way to it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

EXPERIMENT = "stillroom"
DATABASE = Path("mlflow") / "mlflow.db"
ARTIFACTS = Path("mlflow") / "artifacts"
_VIEW = "mlflow.sharedViewState"  # of MLflow's pages: /runs?viewStateShareKey=stillroom
TABLE, CHARTS = "stillroom", "variants"
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
_SETTINGS = {
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}


def exists() -> bool:
    """Whether anything was ever logged; a server of the user's own counts as yes. Answers without MLflow."""
    return bool(os.environ.get("MLFLOW_TRACKING_URI")) or DATABASE.exists()


def connect() -> Any:
    """An `MlflowClient` on our store, with the experiment made and set active; makes the database the first time."""
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"  # read when mlflow is imported
    for key, value in _SETTINGS.items():
        os.environ.setdefault(key, value)
    import mlflow

    uri = os.environ.get("MLFLOW_TRACKING_URI")
    if not uri:
        DATABASE.parent.mkdir(exist_ok=True)
    mlflow.set_tracking_uri(uri or f"sqlite:///{DATABASE.absolute()}")
    client = mlflow.MlflowClient()
    if client.get_experiment_by_name(EXPERIMENT) is None:
        # A server decides by itself where its artifacts are.
        location = None if uri else ARTIFACTS.absolute().as_uri()
        client.create_experiment(EXPERIMENT, artifact_location=location)
    experiment = mlflow.set_experiment(EXPERIMENT)
    for name, view in {TABLE: {"selectedColumns": _COLUMNS}, CHARTS: _charts()}.items():
        key, told = f"{_VIEW}.{name}", json.dumps(view)
        if experiment.tags.get(key) != told:
            client.set_experiment_tag(experiment.experiment_id, key, told)
    return client


def _charts() -> dict[str, Any]:
    """The charts that compare variants, in the form in which MLflow keeps a view."""
    charts = []
    for k, chart in enumerate(_CHARTS):
        axes = {
            axis: {"key": key, "type": "METRIC", "index": 0} for axis, key in chart.items() if axis.endswith("axis")
        }
        common = {"uuid": f"stillroom-{k}", "metricSectionId": _SECTION, "deleted": False, "isGenerated": False}
        charts.append({**common, "runsCountToCompare": 50, **chart, **axes})
    section = {"uuid": _SECTION, "name": "Stillroom", "display": True, "isReordered": False, "deleted": False}
    return {
        "selectedColumns": _COLUMNS,
        "searchFilter": "tags.kind = 'variant'",
        "orderByKey": "metrics.`latency_ratio`",  # sorted by anything but time, variants are not folded into their runs
        "orderByAsc": True,
        "compareRunCharts": charts,
        "compareRunSections": [{**section, "isGenerated": False}],
    }


def search_finished(client: Any, tags: Mapping[str, str]) -> list[Any]:
    """The finished runs of our experiment that carry all of these tags, newest first."""
    experiment = client.get_experiment_by_name(EXPERIMENT).experiment_id
    same = [f"tags.`{key}` = '{value}'" for key, value in tags.items()]
    return list(client.search_runs([experiment], " and ".join(["attributes.status = 'FINISHED'", *same])))
