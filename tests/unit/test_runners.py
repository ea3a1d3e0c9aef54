"""What a person is told who asks for a runner that cannot be had, and what a worker is started as."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from flows import runners
from flows.order import Done, MissingExtraError, NoWorkerError, Order, WorkerLostError
from flows.runners import RunnerError, ship
from flows.runners.pulse import PATIENCE_S, Pulse
from flows.step import died_by_signal
from flows.worker import command, environment, work

ORDER = Order(stage="build@row", revision="0" * 40)


@pytest.mark.parametrize(
    ("name", "address", "told"),
    [
        ("dsak", "", r"--runner: 'dsak'; allowed: local, dask, ray, pool.*dask"),
        ("dask", "", r"--runner dask: needs --address: the scheduler's"),
        ("pool", "", r"--runner pool: needs --address: the name of a Prefect work pool"),
        ("local", "tcp://10.0.0.5:8786", r"--address tcp://10.0.0.5:8786: the local runner has none"),
    ],
)
def test_a_runner_that_cannot_be_is_refused_before_anything_starts(name: str, address: str, told: str) -> None:
    with pytest.raises(RunnerError, match=told):
        runners.check(name, address)


@pytest.mark.parametrize(("name", "library"), [("dask", "distributed"), ("ray", "ray")])
def test_a_missing_extra_is_named(name: str, library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingExtraError, match=rf"needs the extra `{name}`: pip install -e '\.\[{name}\]'"):
        if name == "dask":
            from flows.runners.dask import opened
        else:
            from flows.runners.ray import opened
        opened("tcp://127.0.0.1:1")


def test_a_pool_needs_an_api_that_others_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    from flows.runners.pool import opened

    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    with pytest.raises(NoWorkerError, match="set PREFECT_API_URL"):
        opened("machines")


def test_a_worker_without_a_checkout_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ship.CHECKOUT, raising=False)
    done = Done.model_validate_json(ship.at_worker(ORDER.model_dump_json()))
    assert done.how == "refused" and "stillroom worker" in done.why


def test_a_checkout_whose_code_breaks_down_fails_the_stage_and_says_how(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "flows").mkdir()
    (tmp_path / "flows/__init__.py").touch()
    (tmp_path / "flows/reproduce.py").write_text("raise SystemExit('planted fault')")
    monkeypatch.setenv(ship.CHECKOUT, str(tmp_path))
    done = Done.model_validate_json(ship.at_worker(ORDER.model_dump_json()))
    assert done.how == "failed" and "exited with 1: planted fault" in done.why


def test_a_lost_worker_and_a_killed_step_are_worth_a_second_try_and_an_error_of_the_step_is_not() -> None:
    def again(error: Exception) -> bool:
        return died_by_signal(None, None, SimpleNamespace(message=f"{type(error).__name__}: {error}", data=error))

    assert again(WorkerLostError("build@row: flow run ended as Crashed"))
    assert again(RuntimeError("failed to run: python -m tasks build row, exited with -9"))
    assert not again(RuntimeError("failed to run: python -m tasks build row, exited with 1"))


def test_a_worker_takes_one_stage_at_a_time_with_its_own_checkouts_code(tmp_path: Path) -> None:
    assert "--nthreads 1 --nworkers 1" in " ".join(command("dask", "tcp://h:8786"))
    assert '{"stillroom": 1}' in command("ray", "h:6379")
    assert "--pool machines --type process --limit 1" in " ".join(command("pool", "machines"))
    found = environment(tmp_path)
    assert found[ship.CHECKOUT] == found["PYTHONPATH"] == str(tmp_path)
    assert found["RAY_USAGE_STATS_ENABLED"] == "0"


def test_nobody_works_for_the_local_runner() -> None:
    with pytest.raises(RunnerError, match="its stages run in the driver's checkout; workers: dask, ray, pool"):
        work("local", "")


def test_a_flow_run_is_given_up_when_its_heart_has_stopped_and_not_while_it_waits() -> None:
    clock = [0.0]
    pulse = Pulse(lambda: clock[0])
    assert not pulse.stopped("SCHEDULED", None)
    clock[0] = 1e6
    assert not pulse.stopped("SCHEDULED", None), "there may be no free worker for days"
    assert not pulse.stopped("RUNNING", None)
    for beat in range(100):
        clock[0] += PATIENCE_S["RUNNING"] - 1
        assert not pulse.stopped("RUNNING", beat)
    clock[0] += PATIENCE_S["RUNNING"] + 1
    assert pulse.stopped("RUNNING", 99)


def test_the_image_is_named_by_commit_where_the_driver_says_how(monkeypatch: pytest.MonkeyPatch) -> None:
    from flows.runners.pool import _image

    monkeypatch.delenv("STILLROOM_IMAGE", raising=False)
    assert _image("abc") is None
    monkeypatch.setenv("STILLROOM_IMAGE", "registry.example.org/stillroom:{revision}")
    assert _image("abc") == {"image": "registry.example.org/stillroom:abc"}


def test_a_row_that_a_worker_built_says_so() -> None:
    from tasks.core.last_run import LastRun

    built = {"state": "computed", "seconds": 1.0, "worker": "node7:/srv/stillroom"}
    last = LastRun.model_validate({"stages": {"build@row": built, "evaluate@row": {"state": "reused", "seconds": 0.0}}})
    assert last.workers("row") == {"build.worker": "node7:/srv/stillroom"}
    assert last.workers("other") == {}
