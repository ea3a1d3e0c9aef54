"""What the variants are worth beside each other, what making them took, and after how many requests that is won back.

The compression counts the steps that build, evaluate and measure. The energy of each is its part, by time, of what a
counter or a library measured of the whole machine while a run computed it; else it is estimated from how long
processors worked for it and the watts of a busy core. What is paid for is the time that went by on the step's cores.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from pydantic import Field

from tasks.core.findings import Worth
from tasks.core.frozen import Frozen
from tasks.core.last_run import LastRun
from tasks.core.results import Chosen
from tasks.evidence.worth import break_even, grams_of, joules_of

STEPS = ("build", "evaluate", "bench")


class Assumed(NamedTuple):
    """What money, energy and carbon are reckoned with (`choose.worth` of the plan)."""

    price_per_hour: float
    currency: str
    cores: int
    busy: float
    watts_per_core: float
    grams_co2_per_kwh: float

    @property
    def sentence(self) -> str:
        """The same for people."""
        return (
            f"assumed: {self.price_per_hour:g} {self.currency} an hour for {self.cores} core(s), busy {self.busy:.0%} "
            f"of it; {self.watts_per_core:g} W a busy core where energy is an estimate; {self.grams_co2_per_kwh:g} g "
            "CO2e a kWh. They are `choose.worth` of the plan: put in yours"
        )


class Spent(Frozen):
    """What making all variants took, by the last time that each step was computed here.

    `core_seconds`: the time that went by, on every core that a step was given. `cpu_seconds`: what processors worked in
    it; a step that was not counted is taken to have kept its cores busy.
    """

    steps: int
    core_seconds: float
    cpu_seconds: float
    joules: float
    joules_from: str = Field(description="RAPL, codecarbon, or `estimate`")
    grams_co2: float
    cost: float


class Line(Frozen):
    """One variant. `saved` is the share of the reference's price; break-even is in requests, null for never."""

    variant: str
    worth: Worth
    saved: float
    break_even_energy: float | None
    break_even_cost: float | None


class Account(Frozen):
    """All that `stillroom worth` says; `spent` is null where no flow computed anything here."""

    reference: str
    chosen: str
    lines: tuple[Line, ...]
    spent: Spent | None
    assumed: dict[str, int | float | str]


def account(chosen: Chosen, last: LastRun, threads: int, assumed: Assumed) -> Account:
    """Every variant against the reference; `chosen.worth` must hold that, and `threads` were each step's."""
    taken = spent(last, threads, assumed)
    return Account(
        reference=chosen.reference,
        chosen=chosen.variant,
        lines=tuple(_lines(chosen, taken)),
        spent=taken,
        assumed=assumed._asdict(),
    )


def spent(last: LastRun, threads: int, assumed: Assumed) -> Spent | None:
    """What the steps took on `threads` cores; None where none was ever computed here."""
    ran = {n: run for n, run in last.stages.items() if n.partition("@")[0] in STEPS and run.computed_s > 0}
    if not ran:
        return None
    core_seconds = threads * sum(run.computed_s for run in ran.values())
    worked = {n: threads * run.computed_s if (cpu := run.computed_cpu_s) is None else cpu for n, run in ran.items()}
    measured = [run.computed_j for run in ran.values() if run.computed_j is not None]
    rest = [worked[name] for name, run in ran.items() if run.computed_j is None]
    joules = sum(measured) + joules_of(sum(rest), assumed.watts_per_core)
    source = last.energy.source if measured and last.energy else "estimate"
    return Spent(
        steps=len(ran),
        core_seconds=core_seconds,
        cpu_seconds=sum(worked.values()),
        joules=joules,
        joules_from=f"{source}, in part an estimate" if measured and rest else source,
        grams_co2=grams_of(joules, assumed.grams_co2_per_kwh),
        cost=core_seconds / 3600 * assumed.price_per_hour / assumed.cores,
    )


def _lines(chosen: Chosen, taken: Spent | None) -> Iterator[Line]:
    base = chosen.worth[chosen.reference]
    for name, worth in chosen.worth.items():
        one = taken if name != chosen.reference else None
        yield Line(
            variant=name,
            worth=worth,
            saved=1 - worth.cost_per_million / base.cost_per_million,
            break_even_energy=one and won(one.joules, base.joules_per_request, worth.joules_per_request),
            break_even_cost=one and won(one.cost, base.cost_per_million / 1e6, worth.cost_per_million / 1e6),
        )


def won(taken: float, before: float, after: float) -> float | None:
    """Requests after which `taken` is won back; None: never."""
    return break_even(taken, before, after).requests


def sentence(found: Account) -> str:
    """What making them took and when the chosen one has won it back."""
    one, currency = found.spent, found.assumed["currency"]
    if one is None:
        return "no step was computed here by a flow, so nothing is known of what the compression took"
    line = next(line for line in found.lines if line.variant == found.chosen)
    back = [
        f"{what} after {requests:,.0f} requests" if requests is not None else f"{what} never"
        for what, requests in (("in energy", line.break_even_energy), ("in money", line.break_even_cost))
    ]
    won_back = "" if found.chosen == found.reference else f"; {found.chosen} has won that back {' and '.join(back)}"
    return (
        f"the compression: {one.steps} steps, {one.core_seconds:,.0f} core-seconds "
        f"({one.cpu_seconds:,.0f} worked), {one.joules / 3.6e6:.4f} kWh and "
        f"{one.grams_co2:,.1f} g CO2e ({one.joules_from}), {one.cost:.4f} {currency}{won_back}"
    )
