"""The checklist's points about live traffic: who watches the compressed model, and who is given it."""

from __future__ import annotations

from collections.abc import Iterator

from tasks.deploy.alerts import Limits, alerts, read_alerts
from tasks.deploy.dashboard import dashboard, read_dashboard
from tasks.page.seen import Item
from tasks.plan.schema import Rollout


def monitoring(rollout: Rollout) -> Item:
    """Who would notice that it does harm."""
    judge = rollout.judge
    rules = [rule for group in read_alerts(alerts(_limits(rollout))).groups for rule in group.rules]
    panels = len(read_dashboard(dashboard()).panels)
    told = (
        f"the package holds {len(rules)} Prometheus alerts and a Grafana dashboard of {panels} panels, with"
        f" the limits of rollout.yaml: p95 {judge.p95_ms:g} ms, errors {judge.error_rate:.2%}, {judge.disagreement:.0%}"
        " more disagreement than on val; inputs are watched for drift"
    )
    told += "" if rollout.notify.webhook else "; notify.webhook is empty: decisions are told to nobody but Prometheus"
    if missing := [*_missing(rollout)]:
        return Item("Monitoring set up", "open", f"{'; '.join(missing)}. Apart from that, {told}")
    return Item("Monitoring set up", "done", told)


def _missing(rollout: Rollout) -> Iterator[str]:
    """What rollout.yaml leaves out, without which nobody would notice harm by itself."""
    if not rollout.control.url:
        yield "control.url is empty: no keeper judges what is served or takes it back"
    if not rollout.shadow.share:
        yield "shadow.share is 0: answers are not compared with the full model's"


def _limits(rollout: Rollout) -> Limits:
    judge = rollout.judge
    return Limits(
        p95_ms=judge.p95_ms, error_rate=judge.error_rate, disagreement=judge.disagreement, psi=rollout.drift.psi
    )


def ab_test(rollout: Rollout) -> Item:
    """Whether users are split between it and the full model."""
    title, share, judge = "A/B test planned", rollout.treatment_share, rollout.judge
    if not 0 < share < 1:
        return Item(title, "open", f"rollout.yaml gives {share:.0%} of users the compressed model: nothing to compare")
    told = f"rollout.yaml gives {share:.0%} of users the compressed model"
    if rollout.stages:
        steps = ", ".join(f"{stage:.0%}" for stage in rollout.stages)
        told += f", by evidence in stages of {steps}, each after {judge.min_rows} rows and {judge.hold_s:g} s"
    return Item(title, "done", f"{told}; harm takes it back (wrongly with a chance of {judge.alpha:.1%} at most)")
