"""The energy of a whole run, measured while it goes on: by the processor's counter, or by the library codecarbon.

codecarbon (optional) reads the counter too where there is one; else it estimates from the processor's model and its
load, adds memory and NVIDIA GPUs, and so knows machines where nothing can be read. Its offline tracker is used with
every way out closed: it asks no address where the machine is, sends nothing, and writes no file.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any, Literal

from tasks.core.errors import StillroomError
from tasks.core.last_run import Energy
from tasks.evidence.rapl import Meter

By = Literal["counter", "codecarbon"]


class Measured:
    """What a `measured` block took: filled in when it ends; `energy` stays None where nothing could be read."""

    energy: Energy | None = None


@contextmanager
def measured(by: By, grams_co2_per_kwh: float) -> Iterator[Measured]:
    """Measure the machine while what is inside goes on; StillroomError at once where codecarbon is not installed."""
    found, began = Measured(), time.monotonic()
    if by == "codecarbon":
        tracker = _tracker(grams_co2_per_kwh)
        tracker.start()
        try:
            yield found
        finally:
            tracker.stop()
            joules = 3.6e6 * float(tracker.final_emissions_data.energy_consumed)
            source = f"codecarbon {version('codecarbon')}"
            found.energy = Energy(joules=joules, seconds=time.monotonic() - began, source=source)
        return
    with Meter() as meter:
        yield found
    if (taken := meter.joules) is not None:
        found.energy = Energy(joules=taken, seconds=time.monotonic() - began, source="RAPL")


def _tracker(grams_co2_per_kwh: float) -> Any:
    """A tracker of the whole machine that needs no network and leaves nothing behind; a setting given here wins.

    codecarbon takes what is left out here from CODECARBON_* and from .codecarbon.config of the user.
    """
    try:
        from codecarbon import OfflineEmissionsTracker
    except ImportError as e:
        raise StillroomError(
            f"params/plan.yaml: choose.worth.run_energy: codecarbon: it cannot be imported ({e}); "
            "`pip install 'stillroom[codecarbon]'`, or `run_energy: counter`"
        ) from None
    logging.getLogger("codecarbon").setLevel(logging.CRITICAL)  # its import sets another, and it talks before it asks
    return OfflineEmissionsTracker(
        output_methods=[],
        output_handlers=[],
        emissions_endpoint="",
        electricitymaps_api_token="",
        country_iso_code="",
        cloud_provider="",
        force_carbon_intensity_g_co2e_kwh=grams_co2_per_kwh,
        tracking_mode="machine",
        measure_power_secs=5,
        allow_multiple_runs=True,
        log_level="critical",
    )
