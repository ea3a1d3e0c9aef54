"""Alert rules for Prometheus, with the limits of params/rollout.yaml, strict: a misspelt key is an error, not silence.

The keeper takes harm back by itself; these tell people, and tell of what the keeper cannot see, its own end among it.
"""

from __future__ import annotations

from typing import Annotated, Literal

import yaml
from pydantic import Field

from tasks.core.frozen import Frozen
from tasks.deploy import queries
from tasks.deploy.autoscale import dump

NOTE = "# Prometheus: list this file under `rule_files`. `promtool check rules alerts.yaml` checks it.\n"
Duration = Annotated[str, Field(pattern=r"^[1-9][0-9]*[smh]$")]


class Labels(Frozen):
    """Who is to be woken."""

    severity: Literal["page", "ticket"]


class Annotations(Frozen):
    """What a person reads."""

    summary: str
    description: str


class Rule(Frozen):
    """An alert: it fires once `expr` has given something for as long as `for`."""

    alert: Annotated[str, Field(pattern=r"^Stillroom[A-Z][A-Za-z]+$")]
    expr: str
    lasts: Duration = Field(alias="for")
    labels: Labels
    annotations: Annotations


class Group(Frozen):
    """Rules that are evaluated together."""

    name: str
    rules: tuple[Rule, ...]


class RuleFile(Frozen):
    """The whole file."""

    groups: tuple[Group, ...]


class Limits(Frozen):
    """What the alerts compare with: `expected` is the disagreement on `val`, `disagreement` what may come on top."""

    p95_ms: float
    error_rate: float
    disagreement: float
    psi: float
    expected: float = 0.0


def alerts(limits: Limits) -> str:
    """The rule file, as YAML."""
    made = RuleFile(groups=(Group(name="stillroom", rules=(*_of_answers(limits), *_of_judgement())),))
    return NOTE + dump(made.model_dump(mode="json", by_alias=True))


def read_alerts(text: str) -> RuleFile:
    """Check a rule file; ValidationError names every key that is unknown or wrong."""
    return RuleFile.model_validate(yaml.safe_load(text))


def _of_answers(limits: Limits) -> list[Rule]:
    """What clients get, against the limits."""
    slow, allowed = queries.quantile_s(0.95, by="variant"), limits.expected + limits.disagreement
    return [
        _rule("Down", "absent(stillroom_treatment_share)", "2m", "page", "No worker answers.", "Nothing is scraped."),
        _rule(
            "Slow", f"{slow} > {limits.p95_ms / 1000:g}", "5m", "page",
            "p95 of {{ $labels.variant }} is {{ $value | humanizeDuration }}.",
            f"judge.p95_ms allows {limits.p95_ms:g} ms. The keeper takes the treatment back when it is the slow one.",
        ),
        _rule(
            "Errors", f"{queries.ERRORS} > {limits.error_rate:g}", "2m", "page",
            "{{ $value | humanizePercentage }} of the answers are 5xx.",
            f"judge.error_rate allows {limits.error_rate:g}; the service's log says why.",
        ),
        _rule(
            "Disagreement", f"{queries.DISAGREEMENT} > {allowed:g}", "10m", "page",
            "The treatment answers {{ $value | humanizePercentage }} of the compared rows otherwise than the control.",
            f"val showed {limits.expected:g}, and judge.disagreement allows {limits.disagreement:g} on top.",
        ),
        _rule(
            "Drift", f"{queries.PSI} > {limits.psi:g}", "10m", "ticket",
            "{{ $labels.feature }} no longer looks like val: PSI {{ $value | humanize }}.",
            f"drift.psi allows {limits.psi:g}; `stillroom schedule` retrains on the keeper's own, stricter, finding.",
        ),
    ]  # fmt: skip


def _of_judgement() -> list[Rule]:
    """What was decided, and whether there is anyone and anything to decide by."""
    starved = f"{queries.DROPPED} > 0.9"
    return [
        _rule(
            "RolledBack", f"{queries.ROLLED_BACK} > 0", "1s", "page",
            "The treatment was taken back by {{ $labels.by }}.",
            "`stillroom status` says why; the control answers everybody.",
        ),
        _rule(
            "Unjudged", f"{queries.UNJUDGED_S} > 60 or {queries.NO_KEEPER}", "2m", "page",
            "Nobody judges the rollout.", "The keeper or its store is away, or not scraped; the split stays as it is.",
        ),
        _rule(
            "ShadowFails", f"{queries.SHADOW_FAILURES} > 0", "10m", "ticket",
            "Comparisons with the full model fail.", "Nothing is lost to clients, but there is no evidence from them.",
        ),
        _rule(
            "ShadowStarves", starved, "30m", "ticket", "Nine in ten rows for comparison are dropped.",
            "Lower shadow.share, or give the service more processors: evidence comes too slowly.",
        ),
        _rule(
            "WorkersDisagree", f"count by (variant) ({queries.MODELS}) > 1", "5m", "ticket",
            "More than one {{ $labels.variant }} model is served.", "Some workers cannot load what the row says.",
        ),
    ]  # fmt: skip


def _rule(name: str, expr: str, lasts: str, severity: Literal["page", "ticket"], summary: str, more: str) -> Rule:
    told = Annotations(summary=summary, description=more)
    return Rule(
        alert=f"Stillroom{name}", expr=expr, labels=Labels(severity=severity), annotations=told, **{"for": lasts}
    )
