"""A variant's chain and its waterfall, drawn for the terminal."""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from flows.explain import Explanation, Link, plain
from flows.leaving import Leaving, told
from tasks.evidence.waterfall import Change, Step, Waterfall

NARROW = 104  # columns, below which the shares have no place
BAR = 20  # columns of a bar that is all rows
TINY = 78  # below which the intervals must fold


def show(console: Console, found: Explanation) -> None:
    """Print the chain, row by row, and what each step did."""
    for each in found.chain:
        console.print(link_view(each))
    if found.waterfall is None:
        console.print("not compared yet: `stillroom run` measures it beside the others", style="yellow")
        return
    console.print(waterfall_table(found.waterfall, console.width))
    if found.chosen:
        console.print(f"{found.variant} is what was chosen", style="bold green", highlight=False)


def link_view(link: Link) -> Group:
    """One row of the chain: what it was asked, what it found, what it left alone and what it cost."""
    took = "" if link.build_seconds is None else f"  built in {link.build_seconds:.0f} s"
    head = Text(link.variant, "bold").append(f"  {link.technique} of {link.parent}, {link.form}{took}", "not bold")
    body = Table(box=None, pad_edge=False, show_header=False, padding=(0, 1))
    body.add_column(style="dim", no_wrap=True)
    body.add_column(no_wrap=True)
    body.add_column(overflow="fold")
    facts = {key: value for key, value in link.facts.items() if key not in link.left_alone}
    for word, block in (("params", link.params), ("facts", facts)):
        for n, (key, value) in enumerate(block.items()):
            body.add_row("" if n else word, Text(key), Text(plain(value)))
    for n, (key, value) in enumerate(link.left_alone.items()):
        body.add_row("" if n else "left", Text(key), Text(reasons(value)))
    warned = [Text(f"warning: {text}", "yellow") for text in link.warnings]
    where = leaving_table(link.leaving) if link.leaving else Text()
    return Group(head, body, *warned, where, Text())


def leaving_table(found: Leaving) -> Table:
    """Where rows leave, one line a place, with a bar."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, caption_justify="left", caption=f"rows of val; {told(found)}")
    for n, name in enumerate(("leave at", "rows", "", "accuracy", "MACs a row")):
        table.add_column(name, justify="left" if n in (0, 2) else "right", overflow="fold")
    for place in found.places:
        accuracy = "" if place.accuracy is None else f"{place.accuracy:.2%}"
        macs = "" if place.macs is None else f"{place.macs:,}"
        table.add_row(place.name, f"{place.share:.1%}", "█" * round(BAR * place.share), accuracy, macs)
    return table


def reasons(value: object) -> str:
    """What was left alone, one a line, with its reason; `none` when that is nothing."""
    if isinstance(value, dict):
        return "\n".join(f"{name}: {plain(why)}" for name, why in value.items()) or "none"
    if isinstance(value, list):
        return "\n".join(map(plain, value)) or "none"
    return str(value)


def waterfall_table(found: Waterfall, width: int) -> Table:
    """One line a step; in a narrow terminal without the shares of the whole."""
    wide = width >= NARROW
    table = Table(
        box=SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1) if wide else 0,
        caption_justify="left",
        caption="accuracy on test, its change in points, row by row; ratio: latency to the reference's; 95 % intervals"
        + ("; in brackets what part of the whole way a step went" if wide else ""),
    )
    table.add_column("step", overflow="fold")
    table.add_column("by", overflow="fold")
    for n, name in enumerate(("accuracy", "change", "kB", "change", "ratio")):
        table.add_column(name, justify="right", no_wrap=wide or n != 1, overflow="fold")
    table.add_column(
        "latency of the step" if wide else "step's latency", overflow="fold", min_width=16 if width >= TINY else None
    )
    for step in found.steps:
        table.add_row(step.variant, step.technique, *figures(step, wide))
    return table


def figures(step: Step, wide: bool) -> tuple[str, str, str, str, str, str]:
    """Accuracy, its change, size, its change, latency ratio to the reference, latency over the step before."""
    accuracy, size, ratio = f"{step.accuracy:.2%}", f"{step.size_bytes / 1e3:,.1f}", f"{step.latency_ratio.value:.2f}"
    if (change := step.change) is None:
        return accuracy, "", size, "", ratio, "the reference"
    latency = change.latency
    space = " " if wide else ""
    told = f"{latency.value:.2f} [{latency.low:.2f},{space}{latency.high:.2f}]{part(change.latency_share, wide)}"
    return (
        accuracy,
        points(change, wide),
        size,
        f"{change.size_bytes / 1e3:+,.1f}{part(change.size_share, wide)}",
        ratio,
        told if change.latency_significant else f"{told} no significant change",
    )


def points(change: Change, wide: bool) -> str:
    """The change of accuracy in points, with its interval; the share only of a change that is one."""
    low, high = (100 * end for end in (change.accuracy_interval.low, change.accuracy_interval.high))
    told = f"{100 * change.accuracy:+.2f} " + (f"[{low:+.2f}, {high:+.2f}]" if wide else f"[{low:+.1f},{high:+.1f}]")
    return told + part(change.accuracy_share if change.accuracy_significant else None, wide)


def part(share: float | None, wide: bool) -> str:
    """A share of the whole in brackets, where there is one and place for it."""
    return f" ({share:.0%})" if wide and share is not None else ""
