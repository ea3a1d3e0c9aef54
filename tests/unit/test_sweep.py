"""Whether the process behind a flow run still lives."""

import os
import socket
import subprocess
import sys

import psutil

from flows.sweep import driver_tag, is_gone


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
