"""The nightly loop's parts: what a step's end means, what is pulled, who is told, what the live service is asked."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
import yaml
from prefect import Task

from flows import certificate, compress, deployment, notify, pull, retrain
from flows import watch as live
from flows.step import StepError, broke_down, step, tracking_broke, verdict
from tasks.core import artifact
from tasks.core.errors import ArtifactError, GateError, KeeperError
from tasks.core.results import Candidate, Chosen, PackageManifest
from tasks.live.keeper import Keeper
from tasks.live.shapes import Event, Row
from tasks.plan import load
from tests.unit import fake_evidence

ROOT = Path(__file__).parents[2]


def test_a_promotion_that_went_through() -> None:
    assert verdict("promote", 0, "champion: student_int8\n") == "champion: student_int8"


def test_a_refusal_is_a_judgement_and_not_tried_again() -> None:
    with pytest.raises(GateError, match=r"accuracy_drop: 0\.05, allowed 0\.02") as refused:
        verdict("promote", 1, "accuracy_drop: 0.05, allowed 0.02")
    assert not broke_down(None, None, SimpleNamespace(data=refused.value, message=str(refused.value)))


@pytest.mark.parametrize(
    ("status", "output"),
    [(-9, ""), (1, "Traceback (most recent call last):\n  ...\nOperationalError: database is locked")],
)
def test_a_breakdown_is_tried_again(status: int, output: str) -> None:
    with pytest.raises(StepError, match="promote ended with status") as broken:
        verdict("promote", status, output)
    assert broke_down(None, None, SimpleNamespace(data=broken.value, message=str(broken.value)))


@pytest.mark.parametrize("module", [retrain, compress])
def test_every_task_of_the_night_is_tried_again_after_a_while(module: ModuleType) -> None:
    tasks = {name: one for name, one in vars(module).items() if isinstance(one, Task)}
    assert len(tasks) == {"retrain": 5, "compress": 2}[module.__name__.rpartition(".")[2]]
    for name, one in tasks.items():
        assert one.retries and one.retry_delay_seconds, f"{name} is tried once"
    assert retrain.retrain.retries == compress.compress.retries == 0, "a whole run is not: the next one goes on"


def test_a_watch_is_tried_again_unless_the_version_was_taken_back() -> None:
    for passing in (KeeperError("no keeper answers there"), OSError("reset by peer")):
        assert retrain.unless_taken_back(None, None, SimpleNamespace(data=passing, message=str(passing)))
    back = live.RolledBackError("version 7 was rolled back by judge")
    assert not retrain.unless_taken_back(None, None, SimpleNamespace(data=back, message=str(back)))
    told = "Task run encountered an exception RolledBackError: version 7 was rolled back by judge"
    assert not retrain.unless_taken_back(None, None, SimpleNamespace(data=None, message=told))


@pytest.mark.parametrize(
    ("log", "status", "again"),
    [
        ("Traceback (most recent call last):\n" + "  ...\n" * 5000 + "OperationalError: database is locked", 1, True),
        ("results/choose.json: older than results/bench.json; run `dvc repro`", 1, False),
        ("logging ...", -9, True),
        (None, 1, True),
    ],
)
def test_tracking_is_tried_again_when_it_broke_down(
    log: str | None, status: int, again: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flows.step.LOGS", tmp_path)
    if log is not None:
        (tmp_path / "track.log").write_text(log, encoding="utf-8")
    state = SimpleNamespace(data=None, message=f"RunFailedError: track exited with {status}, MLflow did not take it")
    assert tracking_broke(None, None, state) is again


def test_what_a_step_says_is_heard_though_the_run_before_wrote_logs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STILLROOM_LOGS", str(tmp_path / "logs"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    with pytest.raises(GateError, match=r"params"):
        step("promote")


def row(version: str = "7", mode: str = "rolling", share: float = 0.1) -> Row:
    about = {"generation": 3, "package": "p", "package_sha256": "", "stage": 0, "since_s": 0, "by": "keeper"}
    return Row(version=version, mode=mode, share=share, reason="p95 above 100 ms", **about)  # type: ignore[arg-type]


def told(*answers: Row | None, events: tuple[Event, ...] = ()) -> Any:
    """A keeper that gives these answers in turn, and the last one for ever; None stands for one that is away."""
    left = list(answers)

    class Fake(Keeper):
        def row(self) -> Row | None:
            found = left.pop(0) if len(left) > 1 else left[0]
            if found is None:
                raise KeeperError("no keeper answers there")
            return found

        def events(self, after: int = 0) -> tuple[Event, ...]:
            return events

    return Fake


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "LOOK_EVERY_S", 0.01)


def test_it_waits_until_the_version_is_served() -> None:
    assert "to 10% of the users" in live.until_served("7", 5, told(row("6"), None, row("7")))


def test_a_version_that_nobody_takes_is_an_error_that_names_what_is_served() -> None:
    with pytest.raises(live.NotServedError, match=r"version 7 was not served within .* serves version 6"):
        live.until_served("7", 0.05, told(row("6")))


def test_a_keeper_that_is_away_is_another_error() -> None:
    with pytest.raises(KeeperError):
        live.until_served("7", 0.05, told(None))


def test_watching_ends_when_it_has_arrived() -> None:
    end = live.watch("7", 5, told(row(), row(share=0.5), row(mode="settled", share=0.9)))
    assert end == "version 7 has arrived: 90% of the users"


def test_watching_outlives_a_keeper_that_is_away() -> None:
    assert "has arrived" in live.watch("7", 5, told(row(), None, None, row(mode="settled", share=1.0)))


def test_a_rollback_fails_the_run_with_the_keepers_reason() -> None:
    with pytest.raises(live.RolledBackError, match=r"version 7 was rolled back by keeper: p95 above 100 ms"):
        live.watch("7", 5, told(row(), row(mode="rolled_back", share=0.0)))


def test_a_version_that_is_replaced_meanwhile_is_no_failure() -> None:
    assert "replaced by version 8" in live.watch("7", 5, told(row(), row("8")))


def test_a_rollback_between_two_looks_is_known_from_the_log() -> None:
    about = {"id": 1, "at_s": 0, "actor": "judge", "generation": 4, "reason": "wrong too often"}
    back = Event(kind="rollback", numbers={"version": "7"}, **about)  # type: ignore[arg-type]
    next_one = Event(kind="package", numbers={"version": "6"}, **{**about, "id": 2})  # type: ignore[arg-type]
    with pytest.raises(live.RolledBackError, match="rolled back by judge: wrong too often"):
        live.watch("7", 5, told(row(), row("6"), events=(back, next_one)))


def test_a_watch_that_ends_early_says_where_it_stood() -> None:
    assert "still on its way, at 50% (held)" in live.watch("7", 0.05, told(row(mode="held", share=0.5)))


@pytest.fixture
def webhook() -> Iterator[tuple[str, list[dict[str, Any]], list[int]]]:
    """An address, the bodies that it got, and the statuses that it gives, the last one for ever."""
    got: list[dict[str, Any]] = []
    statuses = [200]

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(statuses.pop(0) if len(statuses) > 1 else statuses[0])
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing on the test's output."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", got, statuses
    server.shutdown()
    server.server_close()


def end(name: str, message: str) -> Any:
    return SimpleNamespace(name=name, message=message)


def test_the_webhook_is_told_how_the_run_ended(webhook: tuple[str, list[dict[str, Any]], list[int]]) -> None:
    url, got, _ = webhook
    hook = notify.on_end(lambda run: run.parameters["webhook"])
    run: Any = SimpleNamespace(id=uuid4(), name="wise-owl", parameters={"webhook": url})
    flow: Any = SimpleNamespace(name="retrain")
    hook(flow, run, end("Failed", "accuracy_drop: found 0.05, allowed <= 0.02"))
    (body,) = got
    assert body["text"] == "retrain wise-owl: Failed\naccuracy_drop: found 0.05, allowed <= 0.02"
    assert (body["flow"], body["run"], body["outcome"]) == ("retrain", "wise-owl", "Failed")


def test_nobody_is_told_without_an_address(webhook: tuple[str, list[dict[str, Any]], list[int]]) -> None:
    _, got, _ = webhook
    run: Any = SimpleNamespace(id=uuid4(), name="wise-owl", parameters={})
    notify.on_end(lambda run: str(run.parameters.get("webhook") or ""))(SimpleNamespace(name="f"), run, end("x", ""))  # type: ignore[arg-type]
    assert got == []


def test_a_webhook_that_stumbles_is_asked_again(webhook: tuple[str, list[dict[str, Any]], list[int]]) -> None:
    url, got, statuses = webhook
    statuses[:] = [503, 200]
    assert notify.post(url, {"text": "x"})
    assert len(got) == 2


def test_a_webhook_that_is_away_fails_nothing(caplog: pytest.LogCaptureFixture) -> None:
    assert not notify.post("http://127.0.0.1:9/", {"text": "x"})
    assert "attempt 3 of 3" in caplog.text


def dvc(*arguments: str) -> None:
    """The `dvc` of this interpreter, whatever is on the path."""
    subprocess.run([sys.executable, "-m", "dvc", *arguments], check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with DVC, and a source and a remote beside it."""
    root = tmp_path / "checkout"
    (root / "data").mkdir(parents=True)
    monkeypatch.chdir(root)
    subprocess.run(["git", "init", "-q"], check=True)
    dvc("init", "-q")
    dvc("remote", "add", "-q", "-d", "r", "../remote")
    return root


def test_nothing_tracked_is_nothing_to_pull(repository: Path) -> None:
    assert pull.pull() == "nothing to pull: no pointer of DVC under data/"


def test_an_import_is_brought_up_to_its_source(repository: Path) -> None:
    source = repository.parent / "source.csv"
    source.write_text("old")
    dvc("import-url", "-q", str(source), "data/raw.csv")
    source.write_text("new")
    assert pull.pull() == "updated 1 imports, fetched 0 of 0 other pointers"
    assert (repository / "data/raw.csv").read_text() == "new"


def test_what_is_missing_here_is_fetched_from_the_remote(repository: Path) -> None:
    raw = repository / "data/raw.csv"
    raw.write_text("rows")
    dvc("add", "-q", "data/raw.csv")
    assert pull.pull().endswith("fetched 0 of 1 other pointers"), "it is here"
    dvc("push", "-q")
    raw.unlink()
    subprocess.run(["rm", "-r", ".dvc/cache"], check=True)
    assert pull.pull().endswith("fetched 1 of 1 other pointers")
    assert raw.read_text() == "rows"


def test_data_that_nobody_has_is_one_error(repository: Path) -> None:
    raw = repository / "data/raw.csv"
    raw.write_text("rows")
    dvc("add", "-q", "data/raw.csv")
    raw.unlink()
    subprocess.run(["rm", "-r", ".dvc/cache"], check=True)
    with pytest.raises(pull.PullError, match="data/: "):
        pull.pull()


def test_prefect_yaml_says_what_the_files_under_params_say() -> None:
    (ours,) = yaml.safe_load((ROOT / "prefect.yaml").read_text(encoding="utf-8"))["deployments"]
    schedule = load(ROOT / "params").schedule
    wanted = deployment.deployment(schedule, ROOT)
    assert ours["parameters"] == wanted["parameters"]
    assert (ours["entrypoint"], ours["name"], ours["tags"]) == (wanted["entrypoint"], wanted["name"], wanted["tags"])
    (when,) = ours["schedules"]
    assert (when["cron"], when["timezone"]) == (schedule.cron, schedule.timezone)
    assert ours["concurrency_limit"] == {
        "limit": wanted["concurrency_limit"],
        "collision_strategy": wanted["concurrency_options"].collision_strategy.value,
    }
    assert ours["work_pool"]["name"] == deployment.POOL
    (trigger,) = ours["triggers"]
    automation = deployment.on_drift(uuid4(), enabled=True)
    assert trigger["name"] == automation.name
    assert set(trigger["expect"]) == {deployment.DRIFT}


def test_the_certificate_says_what_was_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    fake_evidence.plant()
    candidates = {"student": Candidate(values={}, gaps={})}
    chosen = Chosen(
        variant="student", reference="baseline", prefer="size_mb", front=("student",), candidates=candidates
    )
    artifact.write_json(artifact.CHOSEN, chosen)
    manifest = PackageManifest(control="baseline", treatment="student", files={})
    artifact.write_json(artifact.PACKAGE / "manifest.json", manifest)
    name, text = certificate.certificate()
    assert name == "student"
    assert "## student against baseline" in text and "Any 9000" in text
    assert "| onnxruntime, 1, 4 | 0.500 [0.475, 0.525] | faster | 0.70 ms | 0.467 [0.443, 0.490] |" in text


def test_a_package_of_another_variant_gets_no_certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    fake_evidence.plant()
    chosen = Chosen(variant="student", reference="baseline", prefer="size_mb", front=(), candidates={})
    artifact.write_json(artifact.CHOSEN, chosen)
    manifest = PackageManifest(control="baseline", treatment="student_int8", files={})
    artifact.write_json(artifact.PACKAGE / "manifest.json", manifest)
    with pytest.raises(ArtifactError, match=r"holds 'student_int8', but .* says 'student'"):
        certificate.certificate()
