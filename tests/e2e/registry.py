"""A registry with versions whose packages were made by hand: a real MLflow on SQLite, as `stillroom run` fills it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tasks.track import store
from tasks.track.provenance import sha256
from tasks.track.registry import MODEL


@contextmanager
def registry(root: Path) -> Iterator[Any]:
    """An `MlflowClient` on the store of a checkout, made there, and quiet."""
    before = Path.cwd()
    os.chdir(root)
    try:
        client = store.connect()
    finally:
        os.chdir(before)
    client.create_registered_model(MODEL)
    yield client


def register(client: Any, package: Path) -> str:
    """A version with a package; its number."""
    experiment = client.get_experiment_by_name(store.EXPERIMENT).experiment_id
    run = client.create_run(experiment)
    client.log_artifacts(run.info.run_id, str(package), "package")
    client.set_terminated(run.info.run_id)
    tags = {
        "variant": package.name,
        "package_sha256": sha256(package / "manifest.json"),
        "package_uri": f"runs:/{run.info.run_id}/package",
    }
    made = client.create_model_version(MODEL, f"{run.info.artifact_uri}/package", run.info.run_id, tags=tags)
    return str(made.version)
