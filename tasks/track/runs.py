"""Log the last run to MLflow: a parent run named after the flow run, a nested run a variant, and the challenger."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import JsonValue

from tasks.core import artifact
from tasks.core.results import Chosen, PackageManifest, Summary
from tasks.plan.schema import Settings
from tasks.track import steps
from tasks.track.evidence import Row, check_current, flatten, markdown, read_row
from tasks.track.models import log_model, logged_model
from tasks.track.provenance import LOCK, LastRun, git_tags, lock_hashes, sha256
from tasks.track.registry import Registry, Version
from tasks.track.store import connect, search_finished

SOURCE = {"mlflow.source.name": "python -m tasks track"}


@dataclass(frozen=True)
class Logged:
    """A variant's nested run, and where its ONNX model lies."""

    run_id: str
    model_uri: str


def run(settings: Settings) -> None:
    """Log every row of the plan and register the chosen one; ArtifactError when a result is missing or stale."""
    chosen = artifact.read_json(artifact.CHOSEN, Chosen)
    rows = {name: read_row(settings, name) for name in settings.plan.variants}
    manifest = artifact.read_json(artifact.PACKAGE / "manifest.json", PackageManifest)
    check_current(rows, chosen, manifest)
    client = connect()
    import mlflow

    last = _not_yet_logged(client, LastRun.read())
    about = {**git_tags(), **last.tags()}
    tags = {**about, "kind": "run", **SOURCE, "chosen": chosen.variant}
    with mlflow.start_run(run_name=last.flow_run_name or None, tags=tags) as parent:
        _log_parent(settings, rows[chosen.variant])
        logged = {name: _log_row(client, row, last, about) for name, row in rows.items()}
        version = _register(client, rows[chosen.variant], logged[chosen.variant], chosen, about)
        mlflow.set_tag("registered_version", version.number)
    print(f"logged {parent.info.run_name}: {len(rows)} variants; challenger is {version}")


def _not_yet_logged(client: Any, last: LastRun) -> LastRun:
    """The last flow run, or an empty record when it is logged already: then DVC alone drove what is logged now."""
    if not last.flow_run_id:
        return last
    return (
        LastRun()
        if search_finished(client, {"kind": "run", **SOURCE, "prefect.flow_run_id": last.flow_run_id})
        else last
    )


def _log_parent(settings: Settings, chosen: Row) -> None:
    """Parameters of the plan, metrics of the chosen variant, and the files that decided."""
    import mlflow

    plan = settings.plan
    network = {"arch": plan.model.arch, **plan.model.params}
    data = {"source": plan.data.source, **plan.data.params}
    shared: dict[str, JsonValue] = {"seed": plan.seed, "threads": plan.threads, "data": data, "model": network}
    mlflow.log_params(flatten(shared))
    mlflow.log_metrics(chosen.metrics())
    for folder, pattern in (
        (artifact.RESULTS, "*.json"),
        (artifact.RESULTS, "report.html"),
        (Path("params"), "*.yaml"),
    ):
        for file in sorted(folder.glob(pattern)):
            mlflow.log_artifact(str(file), folder.name)
    for file in sorted(artifact.DATA.glob("validation.*")):
        mlflow.log_artifact(str(file), "validation")
    if LOCK.exists():
        mlflow.log_artifact(str(LOCK))
    summary = artifact.read_json(artifact.SUMMARY, Summary)
    steps.log_steps(summary)
    mlflow.set_tag("mlflow.note.content", f"{markdown(summary)}\n{steps.markdown(summary)}")


def _log_row(client: Any, row: Row, last: LastRun, about: dict[str, str]) -> Logged:
    """One nested run. A model that an earlier run holds already is pointed to, not uploaded again."""
    import mlflow

    identity = {
        "variant": row.name,
        "dvc.lock": lock_hashes().get(f"build@{row.name}", "none"),
        "model_sha256": row.evaluation.model_sha256,
    }
    tags = {
        **about,
        **identity,
        "kind": "variant",
        **SOURCE,
        "parent_variant": row.card.parent,
        "technique": row.card.technique,
        "build": last.state(f"build@{row.name}"),
        "evaluate": last.state(f"evaluate@{row.name}"),
    }
    earlier = logged_model(client, identity)
    with mlflow.start_run(run_name=row.name, nested=True, tags=tags) as nested:
        mlflow.log_params(row.params())
        model_uri = earlier or log_model(row)
        mlflow.log_metrics(row.metrics(), model_id=None if earlier else model_uri.removeprefix("models:/"))
        mlflow.log_artifact(str(artifact.variant_folder(row.name) / "card.json"))
        mlflow.log_artifact(str(artifact.evaluation_file(row.name)), "reports")
        mlflow.set_tag("model_uri", model_uri)
        return Logged(nested.info.run_id, model_uri)


def _register(client: Any, row: Row, logged: Logged, chosen: Chosen, about: dict[str, str]) -> Version:
    """The version of the chosen model and package, made if the newest is another, with the alias `challenger` on it."""
    registry = Registry(client)
    identity = {
        "model_sha256": row.evaluation.model_sha256,
        "package_sha256": sha256(artifact.PACKAGE / "manifest.json"),
    }
    version = registry.newest()
    if version is None or identity.items() - version.tags.items():
        client.log_artifacts(logged.run_id, str(artifact.PACKAGE), "package")
        tags = {
            **about,
            **identity,
            "variant": row.name,
            "technique": row.card.technique,
            "reference": chosen.reference,
            "model_uri": logged.model_uri,
            "package_uri": f"runs:/{logged.run_id}/package",
        }
        version = registry.register(logged.model_uri, tags, f"{row.name}: {row.card.technique} of {row.card.parent}")
    registry.point("challenger", version)
    client.set_tag(logged.run_id, "package_uri", version.tag("package_uri"))
    return version
