"""Log the last run to MLflow: a parent run named after the flow run, a nested run a variant, and the challenger."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import JsonValue

from tasks.core import artifact
from tasks.core.last_run import LastRun
from tasks.core.results import Chosen, PackageManifest, Summary
from tasks.plan.schema import Settings
from tasks.track import steps, worth
from tasks.track.candidate import gates_or_why, register
from tasks.track.cells import spaced
from tasks.track.evidence import Row, check_current, flatten, read_row
from tasks.track.figures import log_figures
from tasks.track.metrics import evidence_sha256, metrics
from tasks.track.models import log_model, logged_model
from tasks.track.note import Links, Logged, description, parent_note
from tasks.track.provenance import LOCK, data_digest, git_tags, lock_hashes
from tasks.track.store import connect, search_finished
from tasks.track.views import save_charts

SOURCE = {"mlflow.source.name": "python -m tasks track"}


def run(settings: Settings) -> None:
    """Log every row of the plan and register the chosen one; ArtifactError when a result is missing or stale."""
    chosen = artifact.read_json(artifact.CHOSEN, Chosen)
    rows = {name: read_row(settings, name) for name in settings.plan.variants}
    manifest = artifact.read_json(artifact.PACKAGE / "manifest.json", PackageManifest)
    check_current(rows, chosen, manifest)
    gates = gates_or_why(settings, chosen)
    client = connect()
    import mlflow

    account = worth.account_of(settings.plan, chosen, LastRun.read())
    last = _not_yet_logged(client, LastRun.read())
    about = {**git_tags(), **last.tags(), "data.digest": data_digest()}
    tags = {**about, "kind": "run", **SOURCE, "chosen": chosen.variant}
    with mlflow.start_run(run_name=last.flow_run_name or None, tags=tags) as parent:
        summary = _log_parent(settings, rows[chosen.variant])
        figures = log_figures(settings.plan, summary)
        mlflow.log_metrics(worth.metrics(account))
        mlflow.log_input(_dataset(settings), context="training")
        logged = {name: _log_row(client, settings, row, last, about) for name, row in rows.items()}
        save_charts(client, parent.info.experiment_id, [each.run_id for each in logged.values()])
        links = Links(parent.info.experiment_id, parent.info.run_id)
        told = description(rows[chosen.variant], rows[chosen.reference], gates, about, links.run(links.parent_id))
        version = register(client, rows[chosen.variant], logged[chosen.variant], chosen, about, told)
        mlflow.set_tag("registered_version", version.number)
        note = parent_note(summary, rows, logged, gates, version, links, figures) + worth.markdown(account)
        mlflow.set_tag("mlflow.note.content", spaced(note))
    new = sum(not each.reused for each in logged.values())
    print(f"logged {parent.info.run_name}: {len(rows)} variants, {new} of them new; challenger is {version}")


def _dataset(settings: Settings) -> Any:
    """The data as MLflow names them: source, digest and where they came from."""
    from mlflow.data.code_dataset_source import CodeDatasetSource
    from mlflow.data.meta_dataset import MetaDataset

    source = settings.plan.data.source
    origin = CodeDatasetSource({"mlflow.source.name": f"tasks/sources/{source}.py"})
    return MetaDataset(origin, name=source, digest=data_digest()[:36])


def _not_yet_logged(client: Any, last: LastRun) -> LastRun:
    """The last flow run, or an empty record when it is logged already: then DVC alone drove what is logged now."""
    if not last.flow_run_id:
        return last
    return (
        LastRun()
        if search_finished(client, {"kind": "run", **SOURCE, "prefect.flow_run_id": last.flow_run_id})
        else last
    )


def _log_parent(settings: Settings, chosen: Row) -> Summary:
    """Parameters of the plan, metrics of the chosen variant, and the files that decided."""
    import mlflow

    plan = settings.plan
    network = {"arch": plan.model.arch, **plan.model.params}
    data = {"source": plan.data.source, **plan.data.params}
    shared: dict[str, JsonValue] = {"seed": plan.seed, "threads": plan.threads, "data": data, "model": network}
    mlflow.log_params(flatten(shared))
    mlflow.log_metrics(metrics(chosen))
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
    return summary


def _log_row(client: Any, settings: Settings, row: Row, last: LastRun, about: dict[str, str]) -> Logged:
    """One nested run, but none where an earlier one says the very same; no model is uploaded twice."""
    import mlflow

    identity = {
        "variant": row.name,
        "dvc.lock": lock_hashes().get(f"build@{row.name}", "none"),
        "model_sha256": row.evaluation.model_sha256,
    }
    earlier, same = logged_model(client, identity), {**identity, "evidence_sha256": evidence_sha256(row)}
    if earlier and (found := search_finished(client, {**same, "kind": "variant", **SOURCE})):
        return Logged(found[0].info.run_id, earlier, reused=True)
    tags = {
        **about,
        **same,
        "kind": "variant",
        **SOURCE,
        "parent_variant": row.card.parent,
        "technique": row.card.technique,
        "portability": row.portability,
        "build": last.state(f"build@{row.name}"),
        "evaluate": last.state(f"evaluate@{row.name}"),
        **last.workers(row.name),
    }
    with mlflow.start_run(run_name=row.name, nested=True, tags=tags) as nested:
        mlflow.log_params(row.params())
        mlflow.log_input(_dataset(settings), context="training")
        model_uri = earlier or log_model(row)
        mlflow.log_metrics(metrics(row), model_id=None if earlier else model_uri.removeprefix("models:/"))
        mlflow.log_artifact(str(artifact.variant_folder(row.name) / "card.json"))
        mlflow.log_artifact(str(artifact.evaluation_file(row.name)), "reports")
        mlflow.set_tag("model_uri", model_uri)
        return Logged(nested.info.run_id, model_uri, reused=False)
