"""Every figure that the dashboard and the alarms ask for is in a real service's /metrics, or in the keeper's."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tasks.deploy.alerts import Limits, alerts, read_alerts
from tasks.deploy.dashboard import dashboard, read_dashboard
from tests import made_package
from tests.e2e.test_serve import ROOT, environment, serving
from tests.keeper_process import Keeper, until
from tests.unit.serving.keeper import traffic

pytestmark = pytest.mark.e2e
LIMITS = Limits(p95_ms=50, error_rate=0.01, disagreement=0.02, psi=0.2, expected=0.005)


def asked_for(*, of_keeper: bool) -> set[str]:
    rules = [rule.expr for group in read_alerts(alerts(LIMITS)).groups for rule in group.rules]
    queries = [query.expr for panel in read_dashboard(dashboard()).panels for query in panel.targets]
    names = {name for expr in (*rules, *queries) for name in re.findall(r"stillroom_\w+", expr)}
    return {name for name in names if name.startswith("stillroom_keeper_") is of_keeper}


def told(text: str) -> set[str]:
    return {sample.name for family in text_string_to_metric_families(text) for sample in family.samples}


def test_a_services_metrics_have_every_figure_of_the_dashboard(tmp_path: Path) -> None:
    shadow, cache = {"share": 1.0, "queue": 512}, {"entries": 8}
    package = made_package.make(tmp_path / "package", shadow=shadow, cache=cache)
    env = environment(tmp_path / "home", package) | {"STILLROOM_TICKET_KEY": "a key that nobody guesses"}
    with serving("serving.service:Stillroom", ROOT, env) as client:
        images = np.random.default_rng(3).integers(0, 256, (20, 4, 1, 8, 8), dtype=np.uint8)
        for rows in images:
            for variant in ("control", "treatment"):
                answer = ask(client, rows.tolist(), variant)
        feedback = {"ticket": answer.headers["X-Stillroom-Ticket"], "labels": ["zero", "one", "two", "zero"]}
        assert client.post("/feedback", json=feedback).status_code == 200
        wanted = asked_for(of_keeper=False)
        assert len(wanted) > 12
        until(lambda: wanted <= told(client.get("/metrics").text), f"all of {sorted(wanted)}")
        text = client.get("/metrics").text
        for stage in ("wait", "decode", "network", "encode"):
            for variant in ("control", "treatment"):
                assert f'stillroom_stage_duration_seconds_count{{stage="{stage}",variant="{variant}"}} ' in text


def ask(client: httpx.Client, rows: object, variant: str) -> httpx.Response:
    answer = client.post("/predict", json={"inputs": rows}, headers={"X-Stillroom-Variant": variant})
    assert answer.status_code == 200
    return answer


def test_the_keepers_metrics_have_every_figure_of_the_dashboard(tmp_path: Path) -> None:
    keeper = Keeper(tmp_path, traffic.package(tmp_path / "package").folder)
    try:
        until(keeper.up, "the first findings")
        keeper.report(traffic.tally(6000, shift=5))
        wanted = asked_for(of_keeper=True)
        assert len(wanted) > 6
        until(lambda: wanted <= told(keeper.get("/metrics").decode()), f"all of {sorted(wanted)}")
    finally:
        keeper.kill()
        keeper.store.close()
