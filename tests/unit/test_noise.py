"""A machine that was not quiet is named, and one that was is not."""

from __future__ import annotations

import re
import subprocess
import sys
import time

import pytest

from tasks.evidence import noise
from tasks.evidence.machine import usable_cores

QUIET = {"others_share": 0.02, "steal_share": 0.001, "clock_spread": 0.03, "frequency_mhz": None}


@pytest.mark.parametrize(
    ("loud", "said"),
    [
        ({}, None),
        ({"steal_share": None}, None),
        ({"others_share": 0.4}, "other processes took 40% of the processors' time"),
        ({"steal_share": 0.05}, r"5.0% .* \(steal\)"),
        ({"clock_spread": 0.3}, "30% longer"),
    ],
)
def test_what_is_too_high_is_said(loud: dict[str, float], said: str | None) -> None:
    found = noise.judged(**{**QUIET, **loud})
    if said is None:
        assert found.disturbances == ()
    else:
        (told,) = found.disturbances
        assert re.search(said, told)


def test_spread_is_of_slow_over_fast() -> None:
    assert noise.spread([]) == 0.0
    assert noise.spread([100] * 50) == 0.0
    assert noise.spread([100] * 50 + [130] * 50) == pytest.approx(0.3)


def test_own_work_is_not_noise_and_another_process_is() -> None:
    busy = "while True: pass"
    with subprocess.Popen([sys.executable, "-c", busy]) as other:
        try:
            time.sleep(0.3)
            watch = noise.Watch()
            time.sleep(1.0)
            found = watch.read()
        finally:
            other.kill()
    assert found.others_share > 0.3 / usable_cores()
    watch, end = noise.Watch(), time.process_time() + 0.5
    while time.process_time() < end:
        watch.tick()
    mine = 0.5 / usable_cores()
    assert watch.read().others_share < found.others_share + mine  # what is left is what others did meanwhile
