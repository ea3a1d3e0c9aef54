"""The candidate for promotion: what the gates say of it, and its version in the registry."""

from __future__ import annotations

from typing import Any

from tasks.core import artifact
from tasks.core.errors import ArtifactError
from tasks.core.results import Bench, Chosen, Evaluation
from tasks.evidence import gates
from tasks.plan.schema import Settings
from tasks.track.evidence import Row
from tasks.track.note import Logged
from tasks.track.provenance import sha256
from tasks.track.registry import Registry, Version


def gates_of(settings: Settings, variant: str, reference: str) -> tuple[gates.Gate, ...]:
    """Every gate with its figure, on `test`; ArtifactError where a bound cannot be judged."""
    ours, theirs = (artifact.read_json(artifact.evaluation_file(n), Evaluation) for n in (variant, reference))
    timing = artifact.read_json(artifact.BENCH, Bench).timing(variant, settings.plan.bench.first)
    bounds = settings.promotion
    worth = artifact.read_json(artifact.CHOSEN, Chosen).worth.get(variant)
    found = gates.figures(ours, theirs, timing, worth)
    return gates.check(found, bounds.at_most.items(), bounds.at_least.items())


def gates_or_why(settings: Settings, chosen: Chosen) -> tuple[gates.Gate, ...] | str:
    """The gates of the chosen variant; in words why not, where one cannot be judged."""
    try:
        return gates_of(settings, chosen.variant, chosen.reference)
    except ArtifactError as e:
        return str(e)


def register(client: Any, row: Row, logged: Logged, chosen: Chosen, about: dict[str, str], description: str) -> Version:
    """The version of the chosen model and package, made if the newest is another, with the alias `challenger` on it."""
    import mlflow

    registry, parent = Registry(client), mlflow.active_run()
    assert parent is not None, "the parent run is open"
    identity = {
        "model_sha256": row.evaluation.model_sha256,
        "package_sha256": sha256(artifact.PACKAGE / "manifest.json"),
    }
    version = registry.newest()
    if version is None or identity.items() - version.tags.items():
        client.log_artifacts(parent.info.run_id, str(artifact.PACKAGE), "package")
        tags = {
            **about,
            **identity,
            "variant": row.name,
            "technique": row.card.technique,
            "reference": chosen.reference,
            "parent_variant": row.card.parent,
            "model_uri": logged.model_uri,
            "package_uri": f"runs:/{parent.info.run_id}/package",
        }
        version = registry.register(logged.model_uri, tags, description)
    registry.point("challenger", version)
    show_on(client, parent.info.run_id, logged.model_uri)
    mlflow.set_tag("package_uri", version.tag("package_uri"))
    return version


def show_on(client: Any, run_id: str, model_uri: str) -> None:
    """Let a run's page show a logged model, and so the version that it is registered as."""
    from mlflow.entities import LoggedModelOutput

    client.log_outputs(run_id, [LoggedModelOutput(model_uri.removeprefix("models:/"), 0)])
