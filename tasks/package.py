"""The step `package`: the chosen model and its reference, with all that serving needs, as one self-contained folder.

results/package/
  control.onnx     the reference               treatment.onnx   the chosen variant
  labels.json      class names, by class id    preprocess.json  how a client's input becomes the network's
  rollout.json     params/rollout.yaml         evidence.json    how both did on `test`
  reference.json   what val looked like, and how both models answered it: what live traffic is compared with
  tokenizer.json   for text: makes a client's text into tokens
  autoscale/       bentocloud.yaml, kubernetes.yaml, hpa.yaml, keda.yaml, keeper.yaml
  monitoring/      alerts.yaml for Prometheus, dashboard.json for Grafana
  requirements.txt what the service needs installed, for its image
  manifest.json    written last: which variant plays which role, and the SHA-256 of every other file

`serving` reads this folder and nothing else of Stillroom's.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.core import artifact
from tasks.core.dataset import read_data
from tasks.core.errors import ArtifactError
from tasks.core.results import Chosen, Evaluation, PackageManifest
from tasks.deploy import alerts, dashboard
from tasks.deploy.files import write_autoscaling
from tasks.deploy.requirements import requirements
from tasks.evidence import reference
from tasks.evidence.session import open_session, predict, rows_a_call
from tasks.plan.sizing import planned

if TYPE_CHECKING:
    from tasks.core.contract import Data
    from tasks.plan.schema import Settings


def run(settings: Settings) -> None:
    """Write results/package/; ArtifactError when a piece is missing or the evidence is about other bytes."""
    chosen = artifact.read_json(artifact.CHOSEN, Chosen)
    roles = {"control": chosen.reference, "treatment": chosen.variant}
    evidence = {role: _evidence(variant) for role, variant in roles.items()}
    data = read_data(artifact.DATA)
    description = _inputs(data)
    folder = artifact.PACKAGE
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for role, variant in roles.items():
        shutil.copyfile(_model(variant), folder / f"{role}.onnx")
    (folder / "labels.json").write_text(json.dumps(description.pop("labels"), indent=2) + "\n", encoding="utf-8")
    artifact.write_json(folder / "preprocess.json", description)
    artifact.write_json(folder / "rollout.json", settings.rollout)
    artifact.write_json(folder / "evidence.json", evidence)
    seen = _reference(data, roles, settings.plan.threads)
    artifact.write_json(folder / "reference.json", seen)
    for name, content in data.files.items():
        (folder / name).write_bytes(content)
    needed = requirements(data.preprocess.kind, settings.rollout.control.url)
    (folder / "requirements.txt").write_text(needed, encoding="utf-8")
    write_autoscaling(folder / "autoscale", planned(settings.rollout))
    (folder / "monitoring").mkdir()
    (folder / "monitoring" / "alerts.yaml").write_text(alerts.alerts(_limits(settings, seen)), encoding="utf-8")
    (folder / "monitoring" / "dashboard.json").write_text(dashboard.dashboard(), encoding="utf-8")
    seal(folder, control=chosen.reference, treatment=chosen.variant)
    same = " (the reference itself won: both roles are one model)" if chosen.variant == chosen.reference else ""
    print(f"package: control {chosen.reference}, treatment {chosen.variant}{same} -> {folder}")


def seal(folder: Path, *, control: str, treatment: str) -> PackageManifest:
    """Write manifest.json over whatever else is in `folder`, and return it."""
    target = folder / "manifest.json"
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path != target)
    digests = {path.relative_to(folder).as_posix(): _sha256(path) for path in files}
    manifest = PackageManifest(control=control, treatment=treatment, files=digests)
    artifact.write_json(target, manifest)
    return manifest


def _model(variant: str) -> Path:
    path = artifact.variant_folder(variant) / "model.onnx"
    if not path.exists():
        raise ArtifactError(f"{path}: not there yet; `stillroom run` makes it")
    return path


def _evidence(variant: str) -> dict[str, Any]:
    """A variant's size and quality on `test`; ArtifactError when they were measured on another file."""
    report = artifact.read_json(artifact.evaluation_file(variant), Evaluation)
    found = _sha256(_model(variant))
    if report.model_sha256 != found:
        raise ArtifactError(
            f"{artifact.evaluation_file(variant)}: measured a model with SHA-256 {report.model_sha256[:12]}...,"
            f" but {_model(variant)} has {found[:12]}...; `stillroom run` measures it again"
        )
    return {"variant": variant, "size_bytes": report.size_bytes, "test": report.test.model_dump(mode="json")}


def _reference(data: Data, roles: Mapping[str, str], threads: int) -> dict[str, Any]:
    """What reference.json says, from both models' answers to rows of val."""
    rows = reference.rows_of(data)
    logits = {}
    for role, variant in roles.items():
        path = _model(variant)
        logits[role] = predict(open_session(path, threads), rows, rows_a_call(path))
    treatment = artifact.read_json(artifact.evaluation_file(roles["treatment"]), Evaluation)
    return reference.reference(data, rows, logits, treatment.val)


def _inputs(data: Data) -> dict[str, Any]:
    """The class names and everything of preprocess.json."""
    arrays = {
        name: {"shape": list(rows.shape[1:]), "dtype": str(rows.dtype)} for name, rows in data.train.inputs.items()
    }
    return {"labels": list(data.classes), "inputs": arrays, **data.preprocess.model_dump(mode="json")}


def _limits(settings: Settings, seen: Mapping[str, Any]) -> alerts.Limits:
    """The plan's limits, and the disagreement that val lets expect."""
    judge = settings.rollout.judge
    return alerts.Limits(
        p95_ms=judge.p95_ms,
        error_rate=judge.error_rate,
        disagreement=judge.disagreement,
        psi=settings.rollout.drift.psi,
        expected=seen["disagreement"]["high"],
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
