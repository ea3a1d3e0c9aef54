"""Tracking and registry: the only importer of MLflow, and only inside functions, since its import takes seconds.

`run` logs the last run: one parent run, one nested run a variant, and the chosen one registered as `challenger`.
`registry` finds, tags and downloads registered versions and moves their aliases. Everything goes to the server of
MLFLOW_TRACKING_URI where that is set, else to `mlflow/mlflow.db` and `mlflow/artifacts/` of this checkout.
"""

from tasks.track.registry import ALIASES, MODEL, Version
from tasks.track.runs import run
from tasks.track.store import EXPERIMENT

__all__ = ["ALIASES", "EXPERIMENT", "MODEL", "Version", "run"]
