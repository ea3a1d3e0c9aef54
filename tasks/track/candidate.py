"""The gates of promotion.yaml, for a variant whose evidence is on disk."""

from __future__ import annotations

from tasks.core import artifact
from tasks.core.results import Bench, Evaluation
from tasks.evidence import gates
from tasks.plan.schema import Settings


def gates_of(settings: Settings, variant: str, reference: str) -> tuple[gates.Gate, ...]:
    """Every gate with its figure, on `test`; ArtifactError where a bound cannot be judged."""
    ours, theirs = (artifact.read_json(artifact.evaluation_file(n), Evaluation) for n in (variant, reference))
    timing = artifact.read_json(artifact.BENCH, Bench).timing(variant, settings.plan.bench.first)
    bounds = settings.promotion
    found = gates.figures(ours, theirs, timing)
    return gates.check(found, bounds.at_most.items(), bounds.at_least.items())
