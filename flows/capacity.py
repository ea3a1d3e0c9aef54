"""`stillroom capacity`: how much one replica takes, and what the autoscaling files should say."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast, get_args

from flows.replica import HOST, Replica, replica
from flows.serve import package
from tasks.capacity import curve, policies
from tasks.capacity import knee as knees
from tasks.capacity.closed_loop import Address
from tasks.capacity.day import Day
from tasks.capacity.levels import CAPACITY, Capacity, Level, Who
from tasks.capacity.requests import bodies, posts
from tasks.capacity.sizing import measured
from tasks.capacity.station import Station
from tasks.capacity.sweep import Round, one, sweep
from tasks.core import artifact
from tasks.core.errors import ArtifactError, StillroomError, nearest
from tasks.core.results import PackageManifest
from tasks.evidence.machine import machine
from tasks.evidence.noise import Watch
from tasks.plan import Settings
from tasks.plan.sizing import planned

CONCURRENCIES = (1, 2, 4, 8, 16, 32, 64)
LIMIT = 4 * CONCURRENCIES[-1]  # no request is refused while measuring, however unevenly workers share them


@dataclass(frozen=True)
class Asked:
    """What `stillroom capacity` was asked for; `seconds` at each concurrency, over all rounds."""

    candidate: bool
    sla_ms: float
    seconds: float
    rounds: int
    who: Who


def measure(settings: Settings, asked: Asked, told: Callable[[int, int], None]) -> Capacity:
    """Start a replica, sweep it, and write results/capacity.json; StillroomError when it does not start or answer."""
    folder = package(asked.candidate)
    manifest = artifact.read_json(folder / "manifest.json", PackageManifest)
    rollout, watch, load_before = settings.rollout, Watch(), os.getloadavg()[0]
    with replica(folder, cores=rollout.workers * rollout.threads, max_concurrency=LIMIT) as running:
        levels, origin = _swept(running, folder, asked, told, watch)
    sha256 = hashlib.sha256((folder / "manifest.json").read_bytes()).hexdigest()
    share = {"split": float(running.info["treatment_share"]), "control": 0.0, "treatment": 1.0}[asked.who]
    found = knees.knee(levels, asked.sla_ms)
    limit = knees.ceiling(found, rollout.limits.timeout_s) if found else rollout.limits.concurrency
    warned = (*knees.warnings(levels), *_told(running, rollout.workers * rollout.threads, origin))
    capacity = Capacity(
        control=manifest.control,
        treatment=manifest.treatment,
        package_sha256=sha256,
        who=asked.who,
        treatment_share=share,
        sla_ms=asked.sla_ms,
        rounds=asked.rounds,
        seconds_per_level=asked.seconds,
        workers=rollout.workers,
        threads=rollout.threads,
        pinned_cores=running.pinned_cores,
        models_mb=sum((folder / f"{role}.onnx").stat().st_size for role in ("control", "treatment")) / 1e6,
        cold_start_s=running.cold_start_s,
        max_concurrency=limit,
        levels=levels,
        knee=found,
        safe=Station.of(levels, limit).safe(asked.sla_ms) if found else None,
        warnings=warned,
        machine=machine(load_before, os.getloadavg()[0]),
        noise=watch.read(),
    )
    artifact.write_json(CAPACITY, capacity)
    return capacity


def play(settings: Settings, file: Path) -> tuple[Day, ...]:
    """A day's load on what was measured last; ArtifactError when nothing was."""
    capacity = artifact.read_json(CAPACITY, Capacity) if CAPACITY.exists() else None
    if capacity is None:
        raise ArtifactError(f"{CAPACITY}: not there yet; `stillroom capacity` measures it")
    sizing, worth = measured(planned(settings.rollout), capacity), settings.plan.choose.worth
    world = policies.world_of(capacity, curve.read(file, policies.STEP_S), worth.price_per_hour / worth.cores, sizing)
    assert capacity.safe is not None, "world_of has looked"
    return policies.compared(world, sizing, capacity.safe.arrivals_per_s)


def asked(candidate: bool, sla_ms: float, seconds: float, rounds: int, who: str) -> Asked:
    """The same, checked; StillroomError for a `who` that there is not."""
    if who not in get_args(Who):
        raise StillroomError(f"--who: {who!r}; allowed: {', '.join(get_args(Who))}{nearest(who, get_args(Who))}")
    return Asked(candidate, sla_ms, seconds, rounds, cast(Who, who))


def autoscale() -> None:
    """Write results/autoscale/ anew; StillroomError when that fails."""
    if subprocess.run([sys.executable, "-m", "tasks", "autoscale"], stdout=sys.stderr, check=False).returncode:
        raise StillroomError("results/autoscale: not written")


def _swept(
    running: Replica, folder: Path, asked: Asked, told: Callable[[int, int], None], watch: Watch
) -> tuple[tuple[Level, ...], str]:
    """Every level, those between the knee and the next one included; and where the rows are from."""
    made, origin = bodies(running.info, folder)
    address = Address(HOST, running.port)
    headers = {} if asked.who == "split" else {"X-Stillroom-Variant": asked.who}
    requests = posts(made, f"{HOST}:{running.port}", headers)
    seconds = asked.seconds / asked.rounds

    def at(concurrency: int) -> Round:
        watch.tick()
        return one(address, requests, concurrency, seconds, running.pid)

    one(address, requests, 4, min(1.0, seconds), running.pid)  # the first calls are the slow ones
    levels = sweep(at, CONCURRENCIES, asked.rounds, told)
    if more := knees.between(levels, asked.sla_ms):
        levels = tuple(sorted((*levels, *sweep(at, more, asked.rounds, told)), key=lambda level: level.concurrency))
    return levels, origin


def _told(running: Replica, cores: int, origin: str) -> tuple[str, ...]:
    """What is not as it should be about the set-up."""
    told = []
    if running.pinned_cores < cores:
        told.append(
            "the replica was not held to cores of its own: too few here. The load generator took from what it could use"
        )
    if origin != "rows of val":
        told.append(f"{origin} were sent: no data set of this package's kind under artifacts/data")
    return tuple(told)
