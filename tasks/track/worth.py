"""What the variants are worth, for MLflow: metrics of the run, and a table in Markdown."""

from __future__ import annotations

from tasks.core.last_run import LastRun
from tasks.core.results import Chosen
from tasks.evidence.account import Account, Assumed, account, sentence
from tasks.plan.schema import Plan


def account_of(plan: Plan, chosen: Chosen, last: LastRun) -> Account | None:
    """The account of a choice; None where it says nothing of what its variants are worth."""
    if not {chosen.reference, chosen.variant} <= chosen.worth.keys():
        return None
    return account(chosen, last, plan.threads, Assumed(**plan.choose.worth.model_dump(exclude={"run_energy"})))


def metrics(found: Account | None) -> dict[str, float]:
    """What making the variants took, and after how many requests the chosen one has won it back, as far as known."""
    if found is None or (spent := found.spent) is None:
        return {}
    line = next(line for line in found.lines if line.variant == found.chosen)
    told = {
        "compression_core_seconds": spent.core_seconds,
        "compression_joules": spent.joules,
        "compression_grams_co2": spent.grams_co2,
        f"compression_cost_{found.assumed['currency']}".lower(): spent.cost,
        "break_even_requests_energy": line.break_even_energy,
        "break_even_requests_cost": line.break_even_cost,
    }
    return {name: value for name, value in told.items() if value is not None}


def markdown(found: Account | None) -> str:
    """A line a variant, then what the compression took and what is assumed; empty where nothing is known."""
    if found is None:
        return ""
    lines = [
        "",
        "### What a request costs",
        "",
        f"| variant | {found.assumed['currency']} a million | saved | J a request | g CO2e a million |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for line in found.lines:
        one, itself = line.worth, line.variant == found.reference
        name = f"**{line.variant}**" if line.variant == found.chosen else line.variant
        lines.append(
            f"| {name} | {one.cost_per_million:.4g} | {'' if itself else f'{line.saved:+.0%}'}"
            f" | {one.joules_per_request:.3g} ({one.joules_from}) | {one.grams_co2_per_million:.3g} |"
        )
    assumed = Assumed(**found.assumed)  # type: ignore[arg-type]
    return "\n".join([*lines, "", f"- {sentence(found)}", f"- {assumed.sentence}"])
