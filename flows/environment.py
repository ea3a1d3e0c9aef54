"""What every process that Stillroom starts finds in its environment: no telemetry, no chatter, nothing outside it.

What phones home is switched off whatever the user's shell says; all else gives way to a value that is already set, so
that a shared Prefect API (`PREFECT_API_URL`) or tracking server (`MLFLOW_TRACKING_URI`) is used where there is one.
Settings count when a library is first imported: call `quiet` before that, and hand its result to child processes too.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

_NEVER_PHONE_HOME = {
    "DO_NOT_TRACK": "true",  # "true" and not "1": MLflow takes no other word, Prefect takes both
    "ITERATIVE_DO_NOT_TRACK": "true",
    "BENTOML_DO_NOT_TRACK": "True",
    "DVC_NO_ANALYTICS": "true",
    "DVC_STUDIO_OFFLINE": "true",
    "GX_ANALYTICS_ENABLED": "false",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    "PREFECT_TELEMETRY_ENABLE_RESOURCE_METRICS": "false",
    "RAY_USAGE_STATS_ENABLED": "0",
}

_UNLESS_SET = {
    "GIT_TERMINAL_PROMPT": "0",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MPLBACKEND": "Agg",
    "OMP_WAIT_POLICY": "PASSIVE",  # idle threads that spin slow down the step beside them
    "PREFECT_CLI_PROMPT": "false",
    "PREFECT_LOGGING_LEVEL": "WARNING",
    "PREFECT_LOGGING_LOGGERS_PREFECT_TASK_RUNS_LEVEL": "INFO",  # what the steps print is read in Prefect's pages ...
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",  # ... while the terminal has the tree and our own messages
    "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
    "PREFECT_SERVER_EPHEMERAL_ENABLED": "true",  # without an API of the user's own, a server lives as long as the flow
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",  # a first start migrates its database; 20 s is too short
    "PREFECT_SERVER_LOGGING_LEVEL": "ERROR",
}


def quiet() -> dict[str, str]:
    """The settings to lay over the environment: `os.environ.update(quiet())`, or `env={**os.environ, **quiet()}`.

    PATH comes back with this interpreter's folder in front, since DVC starts the steps as plain `python`.
    """
    settings = {"PREFECT_HOME": str(Path.cwd() / ".stillroom" / "prefect"), **_UNLESS_SET}
    kept = {key: os.environ.get(key) or value for key, value in settings.items()}
    return {**kept, **_NEVER_PHONE_HOME, "PATH": _path()}


def _path() -> str:
    """PATH with the folder of this Python in front; not resolved, or a virtual environment would lose itself."""
    here = str(Path(sys.executable).parent)
    rest = [entry for entry in os.environ.get("PATH", os.defpath).split(os.pathsep) if entry != here]
    return os.pathsep.join([here, *rest])
