"""The doctor's judgements on planted machines and checkouts: each fault is found, and each finding says what to do."""

import configparser
import fcntl
import json
import os
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from flows import doctor, findings, probes
from flows.findings import Finding

ROOT = Path(__file__).parents[2]
FITS = {"fastapi": "0.150.0", "sqlalchemy": "2.0.58"}
WANTED = ["fastapi>=0.139,<0.151", "sqlalchemy>=2.0.58,<2.1"]


def config(text: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(text)
    return parser


@pytest.mark.parametrize(
    ("version", "state"), [("3.11.0", "ok"), ("3.11.14", "ok"), ("3.12.0", "bad"), ("3.9.18", "bad")]
)
def test_python_must_be_within_the_bounds(version: str, state: str) -> None:
    assert findings.python(version, ">=3.11,<3.12").state == state


def test_packages_within_their_bounds_are_one_good_finding() -> None:
    (finding,) = findings.packages(WANTED, FITS)
    assert finding.state == "ok"
    assert "2" in finding.found


@pytest.mark.parametrize(
    ("name", "version", "symptom"),
    [("fastapi", "0.151.0", "server cannot start"), ("sqlalchemy", "2.1.9", "schedules never create runs")],
)
def test_a_package_out_of_bounds_is_named_with_its_symptom(name: str, version: str, symptom: str) -> None:
    (finding,) = findings.packages(WANTED, {**FITS, name: version})
    assert (finding.name, finding.state) == (name, "bad")
    assert version in finding.found
    assert symptom in finding.advice


def test_a_missing_package_is_bad() -> None:
    (finding,) = findings.packages(WANTED, {**FITS, "fastapi": None})
    assert (finding.name, finding.state) == ("fastapi", "bad")
    assert "not installed" in finding.found


@pytest.mark.parametrize(
    ("origin", "state"),
    [
        ("/repo/.venv/lib/mlflow/__init__.py", "ok"),
        ("/repo/mlflow/__init__.py", "bad"),
        (None, "bad"),
    ],
)
def test_the_folder_mlflow_may_not_shadow_the_library(origin: str | None, state: str) -> None:
    assert findings.mlflow(origin, Path("/repo")).state == state


@pytest.mark.parametrize(
    ("cores", "usable", "quota", "load_1m", "state", "limit"),
    [
        (8, 8, None, 0.1, "ok", "8 of 8"),
        (8, 2, None, 0.1, "ok", "2 of 8"),
        (8, 8, 2.5, 0.1, "ok", "2.5 of 8"),
        (8, 8, None, 4.1, "warn", "8 of 8"),
        (8, 8, 1.0, 0.1, "warn", "1 of 8"),
        (2, 2, 16.0, 0.1, "ok", "2 of 2"),
    ],
)
def test_the_cores_that_count_are_the_fewest_of_affinity_and_quota(
    cores: int, usable: int, quota: float | None, load_1m: float, state: str, limit: str
) -> None:
    finding = findings.processor(cores, usable, quota, load_1m)
    assert finding.state == state
    assert finding.found.startswith(f"{limit} cores")


def test_instruction_sets_that_decide_int8_speed() -> None:
    int8, bf16 = findings.instructions({"avx2", "avx512_vnni", "avx512_bf16"})
    assert (int8.state, int8.found, bf16.found) == ("ok", "AVX512-VNNI", "AVX512-BF16")
    int8, bf16 = findings.instructions({"avx2"})
    assert (int8.state, bf16.state) == ("warn", "ok")
    assert "measure" in int8.advice
    assert [f.state for f in findings.instructions(set())] == ["warn"]


@pytest.mark.parametrize(("free_bytes", "state"), [(int(1e9), "bad"), (int(5e9), "warn"), (int(50e9), "ok")])
def test_disk_space(free_bytes: int, state: str) -> None:
    assert findings.disk(free_bytes).state == state


@pytest.mark.parametrize(
    ("driver", "torch", "state"),
    [(True, "2.13.0+cpu", "warn"), (True, None, "warn"), (True, "2.13.0", "ok"), (False, "2.13.0+cpu", "ok")],
)
def test_a_gpu_that_torch_cannot_use_is_worth_a_look(driver: bool, torch: str | None, state: str) -> None:
    assert findings.gpu(driver, torch).state == state


def test_telemetry_that_is_on_is_named() -> None:
    wanted = {"DO_NOT_TRACK": "true", "GX_ANALYTICS_ENABLED": "false"}
    assert findings.telemetry(wanted, wanted, "false").state == "ok"
    finding = findings.telemetry({"DO_NOT_TRACK": "True"}, wanted, "true")
    assert finding.state == "warn"
    assert "GX_ANALYTICS_ENABLED" in finding.found
    assert "core.analytics" in finding.found
    assert "DO_NOT_TRACK" not in finding.found


@pytest.mark.parametrize(
    ("installed", "commit", "identity", "state"),
    [(False, "", "", "bad"), (True, "", "a@b", "warn"), (True, "abc1234", "", "warn"), (True, "abc1234", "a@b", "ok")],
)
def test_git(installed: bool, commit: str, identity: str, state: str) -> None:
    assert doctor.git(installed, commit, identity).state == state


def test_dvc_without_a_config_or_with_a_remote_that_leads_nowhere() -> None:
    assert doctor.dvc(None)[0].state == "bad"
    assert doctor.dvc(config("[core]\nanalytics = false\n"))[0].state == "ok"
    assert doctor.dvc(config("[core]\nremote = s3\n"))[0].state == "bad"
    (finding,) = doctor.dvc(config("[core]\nremote = s3\n['remote \"s3\"']\nurl = s3://bucket/path\n"))
    assert finding.found == "s3: s3://bucket/path"


def test_a_killed_dvc_is_told_from_one_at_work(tmp_path: Path) -> None:
    dead = subprocess.Popen(["true"])
    dead.wait()
    tmp = tmp_path / ".dvc" / "tmp"
    tmp.mkdir(parents=True)
    (tmp_path / ".dvc/config").write_text("[core]\nanalytics = false\n")
    record = {"write": {"/out": {"pid": dead.pid, "cmd": "dvc repro"}}, "read": {}}
    (tmp / "rwlock").write_text(json.dumps(record))
    left = doctor.dvc_state(tmp_path)[1][-1]
    assert (left.state, "left by" in left.found, "clears it" in left.advice) == ("warn", True, True)

    record["read"] = {"/in": [{"pid": os.getpid(), "cmd": "dvc push"}]}  # type: ignore[dict-item]
    (tmp / "rwlock").write_text(json.dumps(record))
    busy = doctor.dvc_state(tmp_path)[1][-1]
    assert "dvc push" in busy.found and "dvc repro" not in busy.found

    (tmp / "rwlock").write_text("{")
    assert doctor.dvc_state(tmp_path)[1][-1].state == "bad"


def test_a_held_lock_is_told_from_a_file_left_behind(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    assert not probes.lock_held(lock)
    lock.write_text("123")
    assert not probes.lock_held(lock)
    with lock.open("r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert probes.lock_held(lock)
    assert not probes.lock_held(lock)


def test_a_broken_dvc_config_is_a_finding_not_a_traceback(tmp_path: Path) -> None:
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc/config").write_text("<<<<<<< HEAD\n")
    assert doctor.dvc_state(tmp_path)[1][0].state == "bad"


def test_local_dvc_settings_come_before_the_shared_ones(tmp_path: Path) -> None:
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc/config").write_text("[core]\nremote = a\n")
    (tmp_path / ".dvc/config.local").write_text("[core]\nremote = b\n")
    found = probes.dvc_config(tmp_path)
    assert found is not None and found["core"]["remote"] == "b"


def test_cpu_quota_of_both_cgroup_versions(tmp_path: Path) -> None:
    assert probes.cpu_quota(tmp_path) is None
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu/cpu.cfs_quota_us").write_text("-1\n")
    (tmp_path / "cpu/cpu.cfs_period_us").write_text("100000\n")
    assert probes.cpu_quota(tmp_path) is None
    (tmp_path / "cpu/cpu.cfs_quota_us").write_text("50000\n")
    assert probes.cpu_quota(tmp_path) == 0.5
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert probes.cpu_quota(tmp_path) is None
    (tmp_path / "cpu.max").write_text("150000 100000\n")
    assert probes.cpu_quota(tmp_path) == 1.5


def test_cpu_flags_of_x86_and_arm(tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    assert probes.cpu_flags(cpuinfo) == set()
    cpuinfo.write_text("processor\t: 0\nflags\t\t: fpu avx2 avx_vnni\n\nprocessor\t: 1\nflags\t\t: fpu\n")
    assert probes.cpu_flags(cpuinfo) == {"fpu", "avx2", "avx_vnni"}
    cpuinfo.write_text("processor\t: 0\nFeatures\t: fp asimddp i8mm\n")
    assert probes.cpu_flags(cpuinfo) == {"fp", "asimddp", "i8mm"}


def test_a_taken_port_is_seen() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        assert probes.port_taken(port)
    assert not probes.port_taken(port)
    taken, free = findings.ports({1: True, 2: False}, {1: "MLflow", 2: "Prefect"})
    assert (taken.state, free.state) == ("warn", "ok")
    assert "MLflow" in taken.advice


def test_a_folder_that_is_no_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert [f.name for f in doctor.checks()] == ["checkout"]
    assert doctor.show() == 1


def test_every_check_of_a_real_checkout_says_what_to_do(tmp_path: Path) -> None:
    for file in ("pyproject.toml", "dvc.yaml"):
        shutil.copy(ROOT / file, tmp_path / file)
    found = doctor.checks(tmp_path)
    assert all(f.found and f.advice for f in found)
    names = {f.name for f in found}
    assert names >= {
        "Python",
        "MLflow import",
        "processor",
        "INT8",
        "GPU",
        "disk",
        "git",
        "DVC",
        "telemetry",
        "port 3000",
    }
    assert next(f for f in found if f.name == "DVC").state == "bad"


@pytest.mark.parametrize(("state", "status"), [("ok", 0), ("warn", 0), ("bad", 1)])
def test_the_exit_status_is_one_only_for_a_bad_finding(
    state: findings.State, status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "checks", lambda: [Finding("planted", state, "[x]", "do this")])
    assert doctor.show() == status
    printed = capsys.readouterr().out
    assert "planted" in printed and "[x]" in printed and "do this" in printed
