"""What the variants are worth: what a request costs, what the last run's own steps took, and when that is won back.

By hand, after a run: `python -m tasks worth`. Energy of the run is an estimate, from how long its steps took (as the
flow wrote down in .stillroom/run.json; steps that were reused are not in it) and the watts of `choose.worth`.
"""

from __future__ import annotations

from tasks.core import artifact
from tasks.core.errors import ArtifactError
from tasks.core.results import Chosen
from tasks.evidence.worth import JOULES_PER_KWH, break_even, grams_of, run_joules
from tasks.plan.schema import Settings
from tasks.plan.worth import WorthBlock
from tasks.track.provenance import RUN_RECORD, LastRun

COMPRESSION = ("build", "evaluate", "bench")
WORKED = ("computed", "failed")


def run(settings: Settings) -> None:
    """Print the table of variants, then the run's own energy and carbon, and its break-even."""
    chosen, plan = artifact.read_json(artifact.CHOSEN, Chosen), settings.plan
    if missing := [name for name in plan.variants if name not in chosen.worth]:
        raise ArtifactError(f"{artifact.CHOSEN}: says nothing of what {missing[0]!r} is worth; run again")
    print("\n".join([*table(chosen, plan.choose.worth), "", *assumptions(plan.choose.worth), ""]))
    before, after = (chosen.worth[name].joules_per_request for name in (chosen.reference, chosen.variant))
    seconds = step_seconds(LastRun.read())
    spent = run_joules(seconds, plan.threads, plan.choose.worth.watts_per_core)
    grams = grams_of(spent, plan.choose.worth.grams_co2_per_kwh)
    won = break_even(spent, before, after).sentence
    print(
        f"the last run: {len(seconds)} steps, {sum(seconds.values()):,.0f} s on {plan.threads} thread(s), about "
        f"{spent / JOULES_PER_KWH:.4f} kWh and {grams:,.1f} g CO2e (estimate), {won}"
    )


def step_seconds(last: LastRun) -> dict[str, float]:
    """Seconds of each step of a run that computed something; ArtifactError when no flow ran here."""
    if not last.stages:
        raise ArtifactError(f"{RUN_RECORD}: not there yet; `stillroom run` writes how long its steps took")
    ran = {name: stage for name, stage in last.stages.items() if stage.state in WORKED}
    return {name: stage.seconds for name, stage in ran.items() if name.partition("@")[0] in COMPRESSION}


def table(chosen: Chosen, block: WorthBlock) -> list[str]:
    """Markdown, a line a variant; saved: against the reference."""
    base = chosen.worth[chosen.reference].cost_per_million
    lines = [f"| variant | {block.currency} a million | saved | J a request | from | g CO2e a million |"]
    lines += ["| --- | --- | --- | --- | --- | --- |"]
    for name, worth in chosen.worth.items():
        saved = f"{1 - worth.cost_per_million / base:.0%}" if name != chosen.reference else ""
        mark = f"**{name}**, chosen" if name == chosen.variant else name
        cells = (f"{worth.cost_per_million:.4g}", saved, f"{worth.joules_per_request:.3g}", worth.joules_from)
        lines.append(f"| {mark} | {' | '.join(cells)} | {worth.grams_co2_per_million:.3g} |")
    return lines


def assumptions(block: WorthBlock) -> list[str]:
    """What the figures rest on."""
    return [
        f"assumed: {block.price_per_hour:g} {block.currency} an hour for {block.cores} core(s), busy {block.busy:.0%} "
        f"of it; {block.watts_per_core:g} W a busy core where energy is an estimate; "
        f"{block.grams_co2_per_kwh:g} g CO2e a kWh"
    ]
