"""What is known of one variant, read from its card, its report and the benchmark, in the form that MLflow takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, JsonValue

from tasks.core.artifact import BENCH, CHOSEN, PACKAGE, evaluation_file, read_json, variant_folder
from tasks.core.contract import Card
from tasks.core.errors import ArtifactError
from tasks.core.findings import Footprint, Worth
from tasks.core.results import Bench, Chosen, Evaluation, PackageManifest, Timing
from tasks.plan.schema import Settings
from tasks.track.provenance import sha256


class _Built(BaseModel):
    """The part of artifacts/<row>/model.json that says which network a trainable variant is."""

    arch: dict[str, JsonValue]


@dataclass(frozen=True)
class Row:
    """One variant: what was done to it, how well it answers, and how fast it is at the first threads and batch."""

    card: Card
    evaluation: Evaluation
    timing: Timing
    arch: Mapping[str, JsonValue]
    footprint: Footprint | None
    worth: Worth | None

    @property
    def name(self) -> str:
        """The variant's name."""
        return self.card.variant

    @property
    def model(self) -> Path:
        """Its ONNX file."""
        return variant_folder(self.name) / "model.onnx"

    @property
    def portability(self) -> str:
        """Whether it answers alike on processors without VNNI, in words."""
        found = self.evaluation.portability
        return found.verdict if found else "no 8-bit integers"

    def params(self) -> dict[str, str]:
        """The technique's parameters and the network's, flattened: `recover.epochs`, `model.width`."""
        return {**flatten(self.card.params), **flatten({"model": dict(self.arch)})}


def read_row(settings: Settings, name: str) -> Row:
    """Everything known of a variant; ArtifactError when a part is missing."""
    card = read_json(variant_folder(name) / "card.json", Card)
    bench = read_json(BENCH, Bench)
    return Row(
        card=card,
        evaluation=read_json(evaluation_file(name), Evaluation),
        timing=bench.timing(name, settings.plan.bench.first),
        arch=architecture(settings, name),
        footprint=bench.footprints.get(name),
        worth=read_json(CHOSEN, Chosen).worth.get(name),
    )


def architecture(settings: Settings, name: str) -> Mapping[str, JsonValue]:
    """The `model:` block of the network behind a variant: its own, or of the nearest ancestor that can be trained."""
    while name in settings.plan.variants:
        about = variant_folder(name) / "model.json"
        if about.exists():
            return read_json(about, _Built).arch
        name = settings.plan.variants[name].parent
    return {"arch": settings.plan.model.arch, **settings.plan.model.params}


def check_current(rows: dict[str, Row], chosen: Chosen, manifest: PackageManifest) -> None:
    """ArtifactError when a model is not the one that was measured, or the chosen one not what was packaged."""
    for row in rows.values():
        if not row.model.exists() or sha256(row.model) != row.evaluation.model_sha256:
            raise ArtifactError(
                f"{row.model}: missing, or not the model that {evaluation_file(row.name)} measured; run again"
            )
    if chosen.variant not in rows:
        raise ArtifactError(f"{CHOSEN}: {chosen.variant!r} is no row of the plan; run again")
    packaged = rows[chosen.variant].evaluation.model_sha256 in manifest.files.values()
    if manifest.treatment != chosen.variant or not packaged:
        raise ArtifactError(f"{PACKAGE}: does not hold the model of {chosen.variant}; run again")


def flatten(block: Mapping[str, JsonValue], prefix: str = "") -> dict[str, str]:
    """Nested parameters as `outer.inner: text`, since MLflow's are flat."""
    flat: dict[str, str] = {}
    for key, value in block.items():
        if isinstance(value, dict):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = str(value)
    return flat
