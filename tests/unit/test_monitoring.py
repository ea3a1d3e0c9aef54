"""The alert rules and the dashboard: against our own metrics, against shapes, and against Prometheus itself."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.metrics import MetricWrapperBase
from pydantic import ValidationError

from serving import metrics
from serving.control.state import State
from serving.keeper.exposition import Exposition, Snapshot
from tasks.deploy.alerts import Limits, alerts, read_alerts
from tasks.deploy.dashboard import dashboard, read_dashboard

PROMTOOL = shutil.which("promtool")
needs_promtool = pytest.mark.skipif(PROMTOOL is None, reason="promtool (Debian: prometheus) is not on the path")
LIMITS = Limits(p95_ms=50, error_rate=0.01, disagreement=0.02, psi=0.2, expected=0.005)


def exported() -> set[str]:
    """Every name of a series that serving/metrics.py and the keeper can give."""
    kinds = [one for one in vars(metrics).values() if isinstance(one, MetricWrapperBase)]
    suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum"), "gauge": ("",)}
    row = State(generation=1, package="p", version="1", share=0.1, by="test")
    exposition = Exposition()
    exposition.snapshot = Snapshot(row=row)
    of_keeper = {one.name + end for one in exposition.collect() for end in suffixes[one.type]}
    return of_keeper | {one._name + end for one in kinds for end in suffixes[one._type]}


def expressions() -> list[str]:
    rules = [rule.expr for group in read_alerts(alerts(LIMITS)).groups for rule in group.rules]
    return rules + [query.expr for panel in read_dashboard(dashboard()).panels for query in panel.targets]


def promtool(*arguments: str) -> None:
    assert PROMTOOL is not None
    done = subprocess.run([PROMTOOL, *arguments], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_name_that_is_asked_for_is_exported() -> None:
    asked = {name for expr in expressions() for name in re.findall(r"stillroom_\w+", expr)}
    assert len(asked) > 8 and asked <= exported()


def test_the_limits_of_the_plan_are_in_the_rules() -> None:
    rules = {rule.alert: rule.expr for rule in read_alerts(alerts(LIMITS)).groups[0].rules}
    assert rules["StillroomSlow"].endswith("> 0.05")
    assert rules["StillroomErrors"].endswith("> 0.01")
    assert rules["StillroomDisagreement"].endswith("> 0.025")
    assert rules["StillroomDrift"].endswith("> 0.2")


@pytest.mark.parametrize(("key", "typo"), [("expr:", "exprs:"), ("for:", "fro:"), ("severity: page", "severity: pgae")])
def test_a_typo_in_a_rule_file_is_an_error(key: str, typo: str) -> None:
    with pytest.raises(ValidationError):
        read_alerts(alerts(LIMITS).replace(key, typo, 1))


@pytest.mark.parametrize(("key", "typo"), [('"expr"', '"exp"'), ('"timeseries"', '"timeserie"'), ('"reqps"', '"rps"')])
def test_a_typo_in_a_dashboard_is_an_error(key: str, typo: str) -> None:
    assert key in dashboard()
    with pytest.raises(ValidationError):
        read_dashboard(dashboard().replace(key, typo, 1))


def test_panels_have_a_place_of_their_own_and_a_name_that_grafana_keeps() -> None:
    told = json.loads(dashboard())
    places = [tuple(panel["gridPos"].values()) for panel in told["panels"]]
    assert len(set(places)) == len(places) and all(place[2] + place[1] <= 24 for place in places)
    assert len({panel["id"] for panel in told["panels"]}) == len(places)
    assert {"schemaVersion", "refresh", "templating", "time", "uid"} <= told.keys()
    assert told["panels"][0]["targets"][0].keys() == {"refId", "expr", "legendFormat", "datasource"}


@needs_promtool
def test_prometheus_takes_every_rule_and_every_query_of_the_dashboard(tmp_path: Path) -> None:
    rules, queries = tmp_path / "alerts.yaml", tmp_path / "queries.yaml"
    rules.write_text(alerts(LIMITS))
    promtool("check", "rules", str(rules))
    recorded = [{"record": f"stillroom:{i}", "expr": expr} for i, expr in enumerate(expressions())]
    queries.write_text(yaml.safe_dump({"groups": [{"name": "all", "rules": recorded}]}))
    promtool("check", "rules", str(queries))


def bucket(le: str, step: int) -> dict[str, str]:
    series = f'stillroom_request_duration_seconds_bucket{{variant="treatment",le="{le}"}}'
    return {"series": series, "values": f"0+{step}x30"}


SERVED = {"series": "stillroom_treatment_share", "values": "0.1x30"}
JUDGED = {"series": "stillroom_keeper_judged_timestamp_seconds", "values": "0+60x30"}
UP = [SERVED, JUDGED]
CASES: dict[str, tuple[list[dict[str, str]], list[str]]] = {
    "well": ([*UP, bucket("0.01", 100), bucket("0.1", 100), bucket("+Inf", 100)], []),
    "slow": ([*UP, bucket("0.01", 10), bucket("0.1", 100), bucket("+Inf", 100)], ["StillroomSlow"]),
    "down": ([JUDGED], ["StillroomDown"]),
    "no keeper": ([SERVED], ["StillroomUnjudged"]),
    "errors": (
        UP
        + [
            {"series": f'stillroom_requests_total{{variant="none",status="{status}"}}', "values": f"0+{step}x30"}
            for status, step in (("200", 95), ("500", 5))
        ],
        ["StillroomErrors"],
    ),
    "disagreement": (
        UP
        + [
            {"series": f'stillroom_shadow_rows_total{{outcome="{outcome}"}}', "values": f"0+{step}x30"}
            for outcome, step in (("agreed", 97), ("disagreed", 3))
        ],
        ["StillroomDisagreement"],
    ),
    "allowed disagreement": (
        UP
        + [
            {"series": f'stillroom_shadow_rows_total{{outcome="{outcome}"}}', "values": f"0+{step}x30"}
            for outcome, step in (("agreed", 98), ("disagreed", 2))
        ],
        [],
    ),
    "failing shadow": (
        [*UP, {"series": 'stillroom_shadow_rows_total{outcome="failed"}', "values": "0+3x30"}],
        ["StillroomShadowFails"],
    ),
    "drift": (
        [*UP, {"series": 'stillroom_keeper_drift_psi{feature="mean"}', "values": "0.3x30"}],
        ["StillroomDrift"],
    ),
    "rolled back": (
        [*UP, {"series": 'stillroom_keeper_decisions_total{kind="rollback",by="judge"}', "values": "0x14 1x15"}],
        ["StillroomRolledBack"],
    ),
    "rolled back by hand": (
        [
            *UP,
            {"series": 'stillroom_keeper_decisions_total{kind="rollback",by="judge"}', "values": "0x29"},
            {"series": 'stillroom_keeper_decisions_total{kind="rollback",by="admin"}', "values": "0x14 1x15"},
        ],
        ["StillroomRolledBack"],
    ),
    "unjudged": ([SERVED, {**JUDGED, "values": "0x30"}], ["StillroomUnjudged"]),
    "two models": (
        UP
        + [
            {"series": f'stillroom_model_info{{variant="treatment",model="m",sha256="{sha}"}}', "values": "1x30"}
            for sha in ("a", "b")
        ],
        ["StillroomWorkersDisagree"],
    ),
}


@needs_promtool
@pytest.mark.parametrize("case", CASES)
def test_the_rules_fire_when_and_only_when_something_is_wrong(case: str, tmp_path: Path) -> None:
    series, wanted = CASES[case]
    (tmp_path / "alerts.yaml").write_text(alerts(LIMITS))
    names = [rule.alert for group in read_alerts(alerts(LIMITS)).groups for rule in group.rules]
    firing: dict[str, Any] = {
        "rule_files": ["alerts.yaml"],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": series,
                "promql_expr_test": [
                    {
                        "expr": f'count(ALERTS{{alertstate="firing",alertname="{name}"}})',
                        "eval_time": "25m",
                        "exp_samples": [{"labels": "{}", "value": 1}] if name in wanted else [],
                    }
                    for name in names
                ],
            }
        ],
    }
    (tmp_path / "test.yaml").write_text(yaml.safe_dump(firing))
    promtool("test", "rules", str(tmp_path / "test.yaml"))
