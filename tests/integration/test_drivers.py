"""Two drivers, one cache: `dvc repro` and the Prefect flow do the same work, once."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.integration.conftest import Checkout, environment

pytestmark = pytest.mark.integration
JOINS = {"bench", "choose", "package", "report"}
ROWS = ("baseline", "pruned50", "baseline_int8")
ALL = JOINS | {"prepare"} | {f"{step}@{row}" for step in ("build", "evaluate") for row in ROWS}
FROM_TIMINGS = {"bench.json", "chosen.json", "summary.json", "waterfall.json", "pareto.csv", "report.html"}


def states(checkout: Checkout) -> dict[str, str]:
    """How each stage of the last flow went."""
    record = json.loads((checkout.root / ".stillroom/run.json").read_text())
    return {name: stage["state"] for name, stage in record["stages"].items() if name != "track"}


def ran(output: str) -> set[str]:
    """The stages that a `dvc repro` says it ran."""
    return {line.split("'")[1] for line in output.splitlines() if line.startswith("Running stage")}


def digests(checkout: Checkout) -> dict[str, str]:
    """SHA-256 of every result that is not made of timings."""
    return {
        str(path.relative_to(checkout.root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for folder in ("artifacts", "reports", "results")
        for path in sorted((checkout.root / folder).rglob("*"))
        if path.is_file() and path.name not in FROM_TIMINGS
    }


@pytest.fixture(scope="module")
def by_dvc(new_checkout: Callable[[str], Checkout]) -> Checkout:
    """A checkout brought up to date by `dvc repro`."""
    checkout = new_checkout("by_dvc")
    assert ran(checkout.dvc("repro")) == ALL
    return checkout


@pytest.fixture(scope="module")
def by_flow(new_checkout: Callable[[str], Checkout]) -> Checkout:
    """A checkout brought up to date by the flow, two rows side by side."""
    checkout = new_checkout("by_flow")
    text = checkout.stillroom("run", "--workers", "2")
    assert "baseline_int8" in text and "next:" in text
    assert states(checkout) == dict.fromkeys(ALL, "computed")
    shutil.copy(checkout.root / ".stillroom/run.json", checkout.root / ".stillroom/first.json")
    return checkout


def test_after_dvc_repro_a_flow_computes_nothing_and_says_so(by_dvc: Checkout) -> None:
    text = by_dvc.stillroom("run")
    assert states(by_dvc) == dict.fromkeys(ALL, "reused")
    assert "nothing had to be computed" in text


def test_every_computed_stage_says_how_long_processors_worked_for_it(by_flow: Checkout) -> None:
    stages = json.loads((by_flow.root / ".stillroom/first.json").read_text())["stages"]
    assert all(stages[name]["computed_cpu_s"] > 0 for name in ALL)


def test_independent_rows_ran_side_by_side_and_bench_alone(by_flow: Checkout) -> None:
    stages = json.loads((by_flow.root / ".stillroom/first.json").read_text())["stages"]
    span = {name: (s["began"], s["began"] + s["seconds"]) for name, s in stages.items()}

    def overlap(one: str, other: str) -> bool:
        return span[one][0] < span[other][1] and span[other][0] < span[one][1]

    assert overlap("build@pruned50", "build@baseline_int8")
    assert not any(overlap("bench", other) for other in span if other != "bench")


def test_after_a_flow_dvc_has_nothing_to_do(by_flow: Checkout) -> None:
    assert "up to date" in by_flow.dvc("status")
    assert ran(by_flow.dvc("repro")) == set()
    assert "everything is current" in by_flow.stillroom("plan")


def test_both_drivers_write_the_same_bytes(by_dvc: Checkout, by_flow: Checkout) -> None:
    one, other = digests(by_dvc), digests(by_flow)
    assert len(one) > 20
    assert one == other
    chosen = [json.loads((c.root / "results/chosen.json").read_text())["variant"] for c in (by_dvc, by_flow)]
    assert chosen[0] == chosen[1]


def test_no_result_holds_a_path_of_this_machine(by_flow: Checkout) -> None:
    for folder in ("artifacts", "reports", "results"):
        for path in (by_flow.root / folder).rglob("*"):
            if path.is_file():
                data = path.read_bytes()
                assert str(by_flow.root).encode() not in data, path
                assert str(Path(sys.prefix)).encode() not in data, path
                assert path.suffix not in (".pkl", ".pt", ".pickle"), path


@pytest.mark.parametrize("driver", ["dvc", "flow"])
def test_one_changed_row_is_computed_with_what_hangs_on_it_and_reverting_restores_it(
    driver: str, by_dvc: Checkout, by_flow: Checkout
) -> None:
    checkout = by_dvc if driver == "dvc" else by_flow
    expected = {"build@pruned50", "evaluate@pruned50", *JOINS}
    checkout.edit("params/plan.yaml", "ratio: 0.5", "ratio: 0.25")
    assert "stale: params" in checkout.stillroom("plan").replace("variants.pruned50", "params")
    if driver == "dvc":
        assert ran(checkout.dvc("repro")) == expected
        checkout.edit("params/plan.yaml", "ratio: 0.25", "ratio: 0.5")
        assert not {"build@pruned50", "evaluate@pruned50"} & ran(checkout.dvc("repro"))
    else:
        checkout.stillroom("run")
        assert {name for name, state in states(checkout).items() if state == "computed"} == expected
        checkout.edit("params/plan.yaml", "ratio: 0.25", "ratio: 0.5")
        checkout.stillroom("run")
        back = states(checkout)
        assert back["build@pruned50"] == back["evaluate@pruned50"] == "restored"
        assert "computed" not in back.values()


def test_editing_one_technique_makes_only_its_rows_stale(by_flow: Checkout) -> None:
    file = by_flow.root / "tasks/techniques/quantize.py"
    before = file.read_text()
    file.write_text(before + "\n# an edit\n")
    try:
        stale = json.loads(by_flow.dvc("status", "--json"))
        assert set(stale) == {"build@baseline_int8"}
        why = json.loads(by_flow.stillroom("plan", "--json"))
        wanted = {"build@baseline_int8", "evaluate@baseline_int8", *JOINS}
        assert {name for name, state in why.items() if state != "current"} == wanted
    finally:
        file.write_text(before)


def test_a_failed_step_is_not_cached_and_its_rerun_succeeds_once_the_cause_is_mended(by_flow: Checkout) -> None:
    file = by_flow.root / "tasks/techniques/quantize.py"
    before = file.read_text()
    file.write_text(before + "\n\ndef apply(parent, data, params):\n    raise OSError('planted fault')\n")
    try:
        text = by_flow.stillroom("run", ok=False)
        assert "build@baseline_int8 failed" in text and "planted fault" in text
        went = states(by_flow)
        assert went["build@baseline_int8"] == "failed" and went["evaluate@baseline_int8"] == "skipped"
        assert went["build@pruned50"] == "reused"
        assert "build@baseline_int8" in by_flow.dvc("status")
    finally:
        file.write_text(before)
    by_flow.stillroom("run")
    assert states(by_flow)["build@baseline_int8"] in ("computed", "restored")
    assert "up to date" in by_flow.dvc("status")


def test_kill_9_loses_the_step_in_hand_and_nothing_else(new_checkout: Callable[[str], Checkout]) -> None:
    checkout = new_checkout("killed")
    checkout.edit("params/plan.yaml", "recover: {epochs: 1,", "recover: {epochs: 400,")
    flow = subprocess.Popen(
        [sys.executable, "-m", "flows.cli", "run"], cwd=checkout.root, env=environment(),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    log = checkout.root / ".stillroom/logs/build@pruned50.log"
    deadline = time.monotonic() + 300
    while not log.exists() and time.monotonic() < deadline:
        time.sleep(0.2)
    assert log.exists(), "the long step never began"
    time.sleep(4)
    steps = [p for p in psutil.Process(flow.pid).children(recursive=True) if "pruned50" in " ".join(p.cmdline())]
    assert steps, "the long step had ended already"
    os.kill(flow.pid, signal.SIGKILL)
    flow.wait()
    _, alive = psutil.wait_procs(steps, timeout=10)
    assert not alive, "a step outlived its killed flow"

    checkout.edit("params/plan.yaml", "recover: {epochs: 400,", "recover: {epochs: 1,")
    checkout.stillroom("run")
    went = states(checkout)
    assert went["prepare"] == went["build@baseline"] == "reused"
    assert went["build@pruned50"] == "computed"
    assert "up to date" in checkout.dvc("status")
    assert running_flow_runs(checkout) == []
    home = str(checkout.root / ".stillroom/prefect")
    left = [p for p in psutil.process_iter() if "uvicorn" in p.name() or "python" in p.name()]
    assert not [p.pid for p in left if p.is_running() and serves(p, home)], "a killed flow's server still runs"


def serves(process: psutil.Process, home: str) -> bool:
    """Whether a process is a Prefect server of this PREFECT_HOME."""
    try:
        return "prefect.server" in " ".join(process.cmdline()) and process.environ().get("PREFECT_HOME") == home
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False


def running_flow_runs(checkout: Checkout) -> list[str]:
    """Names of the flow runs that the checkout's Prefect database still calls RUNNING."""
    code = "import sqlite3; print([r[0] for r in sqlite3.connect('.stillroom/prefect/prefect.db').execute(" \
        "\"select name from flow_run where state_type='RUNNING'\")])"  # fmt: skip
    return list(json.loads(checkout.call("-c", code).strip().splitlines()[-1].replace("'", '"')))
