"""Where MLflow keeps what we log, and the way to it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tasks.track.views import save_table

EXPERIMENT = "stillroom"
DATABASE = Path("mlflow") / "mlflow.db"
ARTIFACTS = Path("mlflow") / "artifacts"
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
    save_table(client, experiment)
    return client


def search_finished(client: Any, tags: Mapping[str, str]) -> list[Any]:
    """The finished runs of our experiment that carry all of these tags, newest first."""
    experiment = client.get_experiment_by_name(EXPERIMENT).experiment_id
    same = [f"tags.`{key}` = '{value}'" for key, value in tags.items()]
    return list(client.search_runs([experiment], " and ".join(["attributes.status = 'FINISHED'", *same])))
