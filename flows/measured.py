"""What was measured of each variant, as far as two of them are compared: read here, or at a git revision.

Only what is compared is looked at, so that results of another version of Stillroom can be read too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tasks.core import artifact
from tasks.core.errors import ArtifactError
from tasks.core.findings import Interval, Marks

Read = Callable[[str], bytes]
"""The bytes of a file by its path in the checkout; ArtifactError when it cannot be had."""


class _Part(BaseModel):
    """The part of a file that is looked at; the rest may be of any version."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Test(_Part):
    """Quality on `test`."""

    rows: int
    accuracy: float


class Measured(_Part):
    """reports/<variant>.json."""

    model_sha256: str
    size_bytes: int
    parameters: int
    macs: int
    test: Test
    marks: Marks | None = Field(None, description="null: of a version of Stillroom that did not keep them")


class Point(_Part):
    """A timing on one engine at one thread count and batch size; the ratios are to the reference of the same run."""

    engine: str = Field("onnxruntime", description="what a version of Stillroom that knew no other timed on")
    threads: int
    batch: int
    p50_ms: float
    p95_ms: float
    ratio: Interval
    p95_ratio: Interval | None = Field(None, description="null: of a version of Stillroom that did not have it")
    round_ms: tuple[float, ...] = ()
    by_mean: bool = False


class _Machine(_Part):
    cpu: str = ""


class _Bench(_Part):
    reference: str
    machine: _Machine = _Machine()
    timings: dict[str, tuple[Point, ...]]


class _Chosen(_Part):
    variant: str


class Results(_Part):
    """Everything that is compared, at one place; mappings by variant."""

    reference: str
    cpu: str = Field(description="the processor that the timings are of")
    chosen: str
    measured: Mapping[str, Measured]
    timings: Mapping[str, Mapping[tuple[str, int, int], Point]] = Field(description="by (engine, threads, batch)")


P = TypeVar("P", bound=_Part)


def results(read: Read, where: str) -> Results:
    """All of a place; `where` names it in errors."""
    bench = _parse(read, artifact.BENCH.as_posix(), _Bench, where)
    return Results(
        reference=bench.reference,
        cpu=bench.machine.cpu,
        chosen=_parse(read, artifact.CHOSEN.as_posix(), _Chosen, where).variant,
        measured={
            name: _parse(read, artifact.evaluation_file(name).as_posix(), Measured, where) for name in bench.timings
        },
        timings={name: {(p.engine, p.threads, p.batch): p for p in points} for name, points in bench.timings.items()},
    )


def of_this_checkout(path: str) -> bytes:
    """The bytes of a file of the working tree."""
    try:
        return Path(path).read_bytes()
    except FileNotFoundError:
        raise ArtifactError(f"{path}: not there yet; `stillroom run` makes it") from None


def _parse(read: Read, path: str, kind: type[P], where: str) -> P:
    raw = read(path)
    try:
        return kind.model_validate_json(raw)
    except ValidationError as e:
        at = ".".join(str(key) for key in e.errors()[0]["loc"])
        raise ArtifactError(f"{path} {where}: {at}: {e.errors()[0]['msg']}; it cannot be compared") from None
