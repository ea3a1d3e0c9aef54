"""Whether the process behind a flow run still lives, and what a killed one leaves behind."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from flows.sweep import driver_tag, is_gone, mend


def test_this_process_is_not_gone():
    assert not is_gone(driver_tag())


def test_a_process_that_ended_is_gone():
    process = subprocess.Popen([sys.executable, "-c", "pass"])
    started = psutil.Process(process.pid).create_time()
    tag = f"driver:{socket.gethostname()}:{process.pid}:{started:.2f}"
    process.wait()
    assert is_gone(tag)


def test_a_reused_process_id_does_not_deceive():
    assert is_gone(f"driver:{socket.gethostname()}:{os.getpid()}:1.00")


def test_nothing_is_claimed_of_another_host():
    assert not is_gone("driver:another-host:1:1.00")


@pytest.mark.parametrize("left", ["", '{"artifacts/data": {"wri', '{"a": {}}}'])
def test_a_half_written_rwlock_is_removed(tmp_path: Path, left: str):
    rwlock = tmp_path / "rwlock"
    rwlock.write_text(left)
    assert mend(rwlock) and not rwlock.exists()


def test_a_whole_rwlock_is_left_alone(tmp_path: Path):
    rwlock = tmp_path / "rwlock"
    assert not mend(rwlock)
    rwlock.write_text("{}")
    assert not mend(rwlock) and rwlock.exists()


def test_ctrl_c_ends_a_run_with_its_steps_at_once():
    code = (
        "import subprocess, sys, time\n"
        "from flows.sweep import ends_on_ctrl_c\n"
        "step = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "with ends_on_ctrl_c():\n"
        "    print(step.pid, flush=True)\n"
        "    time.sleep(60)\n"
    )
    run = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert run.stdout
    step = psutil.Process(int(run.stdout.readline()))
    run.send_signal(signal.SIGINT)
    said = run.communicate(timeout=10)[1]
    assert run.returncode == 130 and "stopped" in said
    psutil.wait_procs([step], timeout=5)
    assert not step.is_running() or step.status() == psutil.STATUS_ZOMBIE
