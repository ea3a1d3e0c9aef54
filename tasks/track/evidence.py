"""What is known of one variant, read from its card, its report and the benchmark, in the form that MLflow takes."""

from __future__ import annotations

import hashlib
import json
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

    def params(self) -> dict[str, str]:
        """The technique's parameters and the network's, flattened: `recover.epochs`, `model.width`."""
        return {**flatten(self.card.params), **flatten({"model": dict(self.arch)})}

    def metrics(self) -> dict[str, float]:
        """Quality on both splits, size and latency, with the units in their names."""
        ours, ratio = self.evaluation, self.timing.ratio
        return {
            "test_accuracy": ours.test.accuracy,
            "val_accuracy": ours.val.accuracy,
            "test_macro_f1": ours.test.macro_f1,
            "test_agreement": ours.test.agreement,
            "test_calibration_error": ours.test.calibration_error,
            "test_accuracy_drop": ours.harm.accuracy_drop.value,
            "test_accuracy_drop_low": ours.harm.accuracy_drop.low,
            "test_accuracy_drop_high": ours.harm.accuracy_drop.high,
            "test_flips": ours.harm.flips,
            "test_classes_hurt": len(ours.harm.hurt_classes),
            "test_classes_never_predicted": len(ours.harm.never_predicted),
            "size_bytes": ours.size_bytes,
            "parameters": ours.parameters,
            "macs": ours.macs,
            "latency_p50_ms": self.timing.p50_ms,
            "latency_p95_ms": self.timing.p95_ms,
            "latency_ratio": ratio.value,
            "latency_ratio_low": ratio.low,
            "latency_ratio_high": ratio.high,
            "latency_p99_ms": self.timing.p99_ms,
            "throughput_rows_per_s": self.timing.rows_per_s,
            **self._costs(),
        }

    def _costs(self) -> dict[str, float]:
        """What is known only of some: memory and cold start, money and energy, portability, nearness to the limit."""
        found: dict[str, float | None] = {"latency_limit_share": self.timing.limit_share}
        if self.footprint:
            found["cold_start_ms"] = self.footprint.cold_start_ms.value
            found["peak_memory_mb"] = self.footprint.peak_memory_mb
        if self.worth:
            found[f"cost_per_million_{self.worth.currency.lower()}"] = self.worth.cost_per_million
            found["joules_per_request"] = self.worth.joules_per_request
        if self.evaluation.harm.fairness:
            found |= {f"test_{name}": value for name, value in self.evaluation.harm.fairness.model_dump().items()}
        if self.evaluation.portability:
            found["portability_disagreement"] = self.evaluation.portability.disagreement
        return {name: value for name, value in found.items() if value is not None}

    def evidence_sha256(self) -> str:
        """Of everything that is logged of it: equal ones need not be logged twice."""
        parts = (self.card, self.evaluation, self.timing, self.footprint, self.worth)
        text = json.dumps([part.model_dump(mode="json") if part else None for part in parts], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


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
