"""`stillroom worth`: what a request costs with every variant, what making them took, and when that is won back."""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from tasks.core import artifact
from tasks.core.errors import ArtifactError
from tasks.core.last_run import LastRun
from tasks.core.results import Chosen
from tasks.evidence.account import Account, Assumed, account, sentence
from tasks.plan import Plan


def worth(plan: Plan) -> Account:
    """The account of the last choice; ArtifactError where it is not there, or is of another plan."""
    chosen = artifact.read_json(artifact.CHOSEN, Chosen)
    if missing := [name for name in plan.variants if name not in chosen.worth]:
        raise ArtifactError(f"{artifact.CHOSEN}: says nothing of what {missing[0]!r} is worth; run again")
    return account(
        chosen, LastRun.read(), plan.threads, Assumed(**plan.choose.worth.model_dump(exclude={"run_energy"}))
    )


def show(console: Console, found: Account) -> None:
    """Print it as a table, with what it rests on."""
    console.print(table(found))
    for text in (sentence(found), Assumed(**found.assumed).sentence):  # type: ignore[arg-type]
        console.print(text, highlight=False, markup=False, soft_wrap=True)


def table(found: Account) -> Table:
    """One line a variant, the chosen one marked."""
    made = Table(box=SIMPLE_HEAD, pad_edge=False)
    made.add_column("variant", overflow="fold")
    money = f"{found.assumed['currency']} a million"
    for name in (money, "saved", "J a request", "from", "g CO2e a million", "won back: energy", "money"):
        made.add_column(name, justify="left" if name == "from" else "right")
    for line in found.lines:
        one, itself = line.worth, line.variant == found.reference
        made.add_row(
            line.variant,
            f"{one.cost_per_million:.4g}",
            "" if itself else f"{line.saved:+.0%}",
            f"{one.joules_per_request:.3g}",
            one.joules_from,
            f"{one.grams_co2_per_million:.3g}",
            *(
                ["", ""]
                if itself or found.spent is None
                else map(requests, (line.break_even_energy, line.break_even_cost))
            ),
            style="bold green" if line.variant == found.chosen else None,
        )
    return made


def requests(after: float | None) -> str:
    """A break-even for people."""
    return "never" if after is None else f"{after:,.0f}"
