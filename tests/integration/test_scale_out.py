"""The plan built by two workers in checkouts of their own: the driver ends where a local run does.

Nothing is shared but the workers' scheduler and a bucket of an S3 endpoint.
"""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import psutil
import pytest

from tests.integration import fleet as fleets
from tests.integration.conftest import Checkout, environment
from tests.integration.fleet import Fleet
from tests.integration.prefect_server import server

pytestmark = [pytest.mark.integration, pytest.mark.slow]
New = Callable[[str], Checkout]


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with fleets.s3(tmp_path_factory.mktemp("s3")) as url:
        yield url


@pytest.fixture(scope="module")
def local(new_checkout: New) -> Checkout:
    """What DVC alone makes of the plan."""
    checkout = new_checkout("local")
    fleets.set_up(checkout)
    checkout.dvc("repro", "-q")
    return checkout


def built_by_both(fleet: Fleet, local: Checkout) -> None:
    """Assert that the two workers built everything between them, and that the driver has it as if by itself."""
    record = fleets.record(fleet.driver)
    assert {stage["state"] for stage in record.values()} == {"computed"}
    folders = {Path(stage["worker"].partition(":")[2]) for stage in record.values()}
    assert folders == {worker.root for worker in fleet.workers}
    fleets.same_but_for_timings(fleet.driver, local)
    assert "up to date" in fleet.driver.dvc("status")
    assert "Running stage" not in fleet.driver.dvc("repro")


# --- a process work pool -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pool(new_checkout: New, endpoint: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Two workers of a Prefect process pool, after a first run."""
    fleet = fleets.fleet(new_checkout("pool"), endpoint, "pool")
    with server(tmp_path_factory.mktemp("prefect"), environment()) as api:
        fleet.settings["PREFECT_API_URL"] = api
        with fleets.at_work(fleet, "pool", "machines"):
            fleet.run("--runner", "pool", "--address", "machines")
            yield fleet


def test_a_work_pool_builds_everything_and_the_driver_ends_as_a_local_run_does(pool: Fleet, local: Checkout) -> None:
    built_by_both(pool, local)


def test_a_second_run_orders_nothing(pool: Fleet) -> None:
    text = pool.run("--runner", "pool", "--address", "machines")
    assert "nothing had to be computed" in text
    assert {stage["worker"] for stage in fleets.record(pool.driver).values()} == {""}


def test_workers_at_another_commit_and_drivers_with_uncommitted_edits_are_refused(pool: Fleet) -> None:
    pool.driver.edit("params/plan.yaml", "recover: {epochs: 1,", "recover: {epochs: 40,")
    text = pool.run("--runner", "pool", "--address", "machines", ok=False)
    assert "not what commit" in text and "params/plan.yaml" in text and "Traceback" not in text
    pool.commit("a longer recovery")
    text = pool.run("--runner", "pool", "--address", "machines", ok=False)
    assert "build@pruned50 failed" in text and "is asked for" in text and "git checkout --detach" in text
    assert fleets.record(pool.driver)["build@pruned50"]["state"] == "failed"


def test_a_killed_job_loses_only_its_step_which_is_done_again(pool: Fleet) -> None:
    pool.follow()
    with running(pool, "pool", "machines") as driver:
        _, step = fleets.caught(pool, "build@pruned50")
        (job,) = [p for p in psutil.Process(step).parents() if "prefect" in " ".join(p.cmdline()) and p.ppid() != 1][:1]
        job.kill()
        fleets.gone(step)
        assert driver.wait(400) == 0
    record = fleets.record(pool.driver)
    assert record["prepare"]["state"] == record["build@baseline"]["state"] == "reused"
    assert record["build@pruned50"]["state"] == "computed"
    assert "up to date" in pool.driver.dvc("status")


@contextmanager
def running(fleet: Fleet, runner: str, address: str) -> Iterator[subprocess.Popen[bytes]]:
    """A run in the background, ended at the end."""
    command = [sys.executable, "-m", "flows.cli", "run", "--runner", runner, "--address", address]
    env = {**environment(), **fleets.AWS, **fleet.settings}
    with (fleet.driver.root.parent / "driver.log").open("wb") as log:
        driver = subprocess.Popen(command, cwd=fleet.driver.root, env=env, stdout=log, stderr=log)
        try:
            yield driver
        finally:
            if driver.poll() is None:
                fleets.kill(psutil.Process(driver.pid))
            driver.wait(30)


# --- Dask ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def dask(
    new_checkout: New, endpoint: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Fleet, str, list[psutil.Process]]]:
    """Two workers of a Dask scheduler."""
    if find_spec("distributed") is None:
        pytest.skip("the extra `dask` is not installed")
    fleet = fleets.fleet(new_checkout("dask"), endpoint, "dask")
    port, folder = fleets.free_port(), tmp_path_factory.mktemp("scheduler")
    own = ["--host", "127.0.0.1", "--port", str(port), "--no-dashboard"]
    with fleets.process([sys.executable, "-m", "distributed.cli.dask_scheduler", *own], folder, folder / "log"):
        address = f"tcp://127.0.0.1:{port}"
        with fleets.at_work(fleet, "dask", address) as workers:
            yield fleet, address, workers


def test_dask_workers_build_everything_though_one_is_killed_on_the_way(
    dask: tuple[Fleet, str, list[psutil.Process]], local: Checkout
) -> None:
    fleet, address, workers = dask
    fleet.run("--runner", "dask", "--address", address)
    built_by_both(fleet, local)

    fleet.driver.edit("params/plan.yaml", "recover: {epochs: 1,", "recover: {epochs: 40,")
    fleet.commit("a longer recovery")
    fleet.follow()
    with running(fleet, "dask", address) as driver:
        root, step = fleets.caught(fleet, "build@pruned50")
        lost = [worker.root for worker in fleet.workers].index(root)
        fleets.kill(workers[lost])
        fleets.gone(step)
        assert driver.wait(400) == 0
    record = fleets.record(fleet.driver)
    assert record["build@pruned50"]["worker"].endswith(str(fleet.workers[1 - lost].root))
    assert record["build@baseline"]["state"] == "reused"
    assert "up to date" in fleet.driver.dvc("status")


# --- Ray -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ray(new_checkout: New, endpoint: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Two nodes of a Ray cluster whose head computes nothing."""
    if find_spec("ray") is None:
        pytest.skip("the extra `ray` is not installed: it is heavy, and not among the `dev` ones")
    fleet = fleets.fleet(new_checkout("ray"), endpoint, "ray")
    port, folder = fleets.free_port(), tmp_path_factory.mktemp("head")
    own = ["--port", str(port), "--num-cpus", "0", "--include-dashboard", "false", "--disable-usage-stats", "--block"]
    head = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--node-ip-address", "127.0.0.1", *own]
    with fleets.process(head, folder, folder / "log", RAY_USAGE_STATS_ENABLED="0"):
        address = f"127.0.0.1:{port}"
        ready = "block forever"
        fleets.wait_for("the head of the cluster", lambda: ready in (folder / "log").read_text())
        with fleets.at_work(fleet, "ray", address, ready):
            fleet.run("--runner", "ray", "--address", address)
            yield fleet


def test_ray_nodes_build_everything_and_the_driver_ends_as_a_local_run_does(ray: Fleet, local: Checkout) -> None:
    built_by_both(ray, local)
