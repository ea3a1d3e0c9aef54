"""What a person sees in the terminal: the tree of variants, a run as it goes, and the table at its end."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, JustifyMethod, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from flows.board import Board, Entry, last_line, ran_since
from tasks.core.results import Summary, SummaryRow
from tasks.plan import Plan

NARROW = 104  # columns, below which the table of a run does without the space between its own
JOINS = ("bench", "choose", "package", "report", "track")
STYLE = {
    "waiting": ("·", "dim"),
    "running": ("▶", "bold cyan"),
    "computed": ("✔", "green"),
    "restored": ("↺", "blue"),
    "reused": ("=", "blue"),
    "failed": ("✘", "bold red"),
    "skipped": ("-", "yellow"),
}


def tree(plan: Plan, label: Mapping[str, Text]) -> Tree:
    """The plan's variants as a tree under `data`; `label` gives each row's line by its name."""
    root = Tree(Text(f"data: {plan.data.source}", style="bold"))
    if "data" in label:
        root.label = label["data"]
    nodes = {"data": root}
    for row in plan.variants.values():
        nodes[row.name] = nodes[row.parent].add(label[row.name])
    return root


def plan_tree(plan: Plan, reasons: Mapping[str, str]) -> Group:
    """The tree with each row's state: current, or stale and why; below it what compares the rows, where stale."""

    def state(*names: str) -> Text:
        why = next((reasons[name] for name in names if name in reasons), None)
        return Text("current", "green") if why is None else Text(f"stale: {why}", "yellow")

    label = {"data": Text(f"data: {plan.data.source}  ").append_text(state("prepare"))}
    for row in plan.variants.values():
        label[row.name] = Text(f"{row.name}  ", "bold").append(f"{row.technique}  ", "not bold")
        label[row.name].append_text(state(f"build@{row.name}", f"evaluate@{row.name}"))
    joins = [Text(f"{name}  ", "bold").append_text(state(name)) for name in JOINS if name in reasons]
    return Group(tree(plan, label), *joins)


def stage_text(word: str, entry: Entry) -> Text:
    """One stage in a few characters: mark, verb and how long it took."""
    mark, style = STYLE[entry.state]
    took = f" {entry.seconds:.0f}s" if entry.state in ("running", "computed", "failed") else ""
    return Text(f"{mark} {word}{took}  ", style)


def board_view(plan: Plan, board: Board) -> RenderableType:
    """The whole run at this moment."""
    entries = board.entries()
    none = Entry()
    label = {
        "data": Text(f"data: {plan.data.source}  ", "bold").append(stage_text("prepare", entries.get("prepare", none)))
    }
    for row in plan.variants.values():
        line = Text(f"{row.name}  ", "bold").append(f"{row.technique}  ", "not bold dim")
        for verb in ("build", "evaluate"):
            line.append_text(stage_text(verb, entries.get(f"{verb}@{row.name}", none)))
        label[row.name] = line
    joins = Text()
    for name in JOINS:
        joins.append_text(stage_text(name, entries.get(name, none)))
    running = {name: e.began for name, e in entries.items() if e.state == "running"}
    said = {name: last_line(name) if ran_since(name, began) else "" for name, began in running.items()}
    now = [Text(f"  {name}: {line}", "cyan", no_wrap=True, overflow="ellipsis") for name, line in said.items()]
    stages = {name: e for name, e in entries.items() if name != "track"}
    done = sum(e.state not in ("waiting", "running") for e in stages.values())
    how_far = f"{done} of {len(stages)} stages" if entries else "Prefect's server starts"
    clock = Text(f"{how_far}, {time.time() - board.began:.0f} s", "dim")
    return Group(tree(plan, label), joins, *now, clock)


@contextmanager
def follow(console: Console, plan: Plan, board: Board) -> Iterator[None]:
    """Show the board while the body runs: live in a terminal; elsewhere as it stands at the end."""
    if not console.is_terminal:
        try:
            yield
        finally:
            console.print(board_view(plan, board))
        return
    with Live(console=console, get_renderable=lambda: board_view(plan, board), refresh_per_second=4, transient=False):
        yield


def counts(board: Board) -> str:
    """`3 computed, 14 reused`: DVC's stages by state, in a fixed order; what did not occur is left out."""
    states = [e.state for name, e in board.entries().items() if name != "track"]
    return ", ".join(f"{states.count(s)} {s}" for s in STYLE if s in states)


def table(summary: Summary, width: int = 120) -> Table:
    """The numbers of a run, one line a variant, the chosen one marked; in a narrow terminal names fold, not figures."""
    narrow = width < NARROW
    found = Table(
        box=SIMPLE_HEAD,
        pad_edge=False,
        show_edge=not narrow,
        padding=0 if narrow else (0, 1),
        caption_justify="left",
        caption=f"accuracy and drop (points{'' if narrow else '; in brackets 95 % sure of at most'}) on test; latency "
        f"ratio to {summary.reference}{summary.on_engine} with its 95 % interval, "
        f"{summary.threads} thread(s), batch {summary.batch}",
    )
    technique, accuracy = ("by", "acc.") if narrow else ("technique", "accuracy")
    for name in ("variant", "from", technique, "kB", accuracy, "drop", "latency ratio", "front", ""):
        justify: JustifyMethod = "right" if name in ("kB", accuracy, "drop") else "left"
        found.add_column(name, justify=justify, no_wrap=name not in ("variant", "from"), overflow="fold")
    for row in summary.rows:
        ratio = row.latency_ratio
        found.add_row(
            row.variant,
            row.parent,
            row.technique,
            f"{row.size_bytes / 1e3:,.{0 if narrow and row.size_bytes >= 1e6 else 1}f}",
            f"{row.accuracy:.2%}",
            drop(row, narrow),
            f"{ratio.value:.2f} [{ratio.low:.2f},{'' if narrow else ' '}{ratio.high:.2f}]",
            "yes" if row.on_front else "no",
            "collapsed" if row.collapsed else "chosen" if row.chosen else "",
            style="bold red" if row.collapsed else "bold green" if row.chosen else None,
        )
    return found


def drop(row: SummaryRow, narrow: bool) -> str:
    """Points lost on test and, where there is place, how many at most, row by row; the reference loses none."""
    found = row.drop_interval
    told = f"{row.accuracy_drop * 100:+.2f}"
    return told if narrow or found.low == found.high else f"{told} (≤ {found.high * 100:.2f})"
