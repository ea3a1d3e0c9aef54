"""What variants are worth, as a table: price, energy and carbon of a request; what an hour of compressing costs.

How long a run took is no part of its evidence, so break-even is told for one core-hour of it: for six, times six.
"""

from __future__ import annotations

from tasks.evidence.worth import break_even
from tasks.page.chart import Numbers
from tasks.page.gathered import Evidence
from tasks.plan.worth import WorthBlock

HOUR_S = 3600


def table(evidence: Evidence) -> Numbers:
    """A row a variant; no rows where `choose` knew no worth."""
    block, worth = evidence.plan.choose.worth, evidence.chosen.worth
    base = worth.get(evidence.chosen.reference)
    spent = HOUR_S * block.watts_per_core
    rows = []
    for name in evidence.depth:
        if base is None or (mine := worth.get(name)) is None:
            continue
        saved, itself = 1 - mine.cost_per_million / base.cost_per_million, name == evidence.chosen.reference
        won = break_even(spent, base.joules_per_request, mine.joules_per_request).requests
        cells = (f"{mine.cost_per_million:.3g}", "–" if itself else f"{saved:+.0%}", _joules(mine.joules_per_request))
        back = "–" if itself else "never" if won is None else f"{won:,.0f}"
        rows.append((name, *cells, f"{mine.grams_co2_per_million:.3g}", back))
    money = f"{block.currency} a million requests"
    columns = (
        "variant",
        money,
        "saved",
        "energy a request",
        "g CO₂e a million",
        "a core-hour of compressing is won back after, requests",
    )
    return Numbers(columns, tuple(rows))


def _joules(joules: float) -> str:
    return (
        f"{joules:.3g} J"
        if joules >= 0.1
        else f"{1000 * joules:.3g} mJ"
        if joules >= 1e-4
        else f"{1e6 * joules:.3g} µJ"
    )


def assumptions(block: WorthBlock, source: str) -> str:
    """What the figures rest on; `source`: where the joules are from."""
    energy = (
        "as the processor counts it (RAPL)"
        if source == "RAPL"
        else f"estimated at {block.watts_per_core:g} W a busy core"
    )
    return (
        f"{block.price_per_hour:g} {block.currency} an hour for {block.cores} core(s), busy {block.busy:.0%} of it;"
        f" energy {energy}; {block.grams_co2_per_kwh:g} g CO₂e a kWh"
    )
