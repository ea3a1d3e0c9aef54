"""`stillroom compare A B`: finds out what A and B are, reads both, and prints how they differ."""

from __future__ import annotations

from collections.abc import Set

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from flows.comparison import Comparison, Pair, of_revisions, of_variants
from flows.difference import Difference
from flows.measured import of_this_checkout, results
from flows.revision import commit_of, names, reader
from tasks.core import artifact
from tasks.core.errors import ArtifactError, PlanError, nearest
from tasks.plan import load

COLOURS = {"better": "green", "worse": "red", "no significant change": "yellow"}


def compare(a: str, b: str) -> Comparison:
    """Two variants of this checkout, or two revisions; PlanError when the names are neither.

    Of two names that could be both, the variants are meant.
    """
    rows = load().plan.variants
    if a in rows and b in rows:
        here = results(of_this_checkout, "here")
        for name in (a, b):
            if name not in here.measured:
                raise ArtifactError(f"{artifact.BENCH}: {name!r} was not measured yet; `stillroom run` does it")
        return of_variants(here, a, b)
    commits = [commit_of(name) for name in (a, b)]
    strangers = [n for n, commit in zip((a, b), commits, strict=True) if n not in rows and commit is None]
    if strangers:
        known = [*rows, *names()]
        told = "\n".join(
            f"{n!r}: neither a variant of the plan nor a git revision{nearest(n, known)}" for n in strangers
        )
        raise PlanError(f"{told}\nvariants: {', '.join(rows)}")
    if commits[0] is None or commits[1] is None:
        variant = a if commits[0] is None else b
        raise PlanError(f"{variant!r} is a variant, {b if variant == a else a!r} a revision: give two of one kind")
    sides = [
        results(reader(name, commit), f"at {name}") for name, commit in ((a, commits[0]), (b, commits[1])) if commit
    ]
    return of_revisions(a, sides[0], b, sides[1])


def show(console: Console, found: Comparison) -> None:
    """Print it as tables."""
    for pair in found.pairs:
        if found.of == "revisions":
            same = ", the same model" if pair.same_model else ""
            console.print(Text(f"{pair.a}{same}", "bold"))
        console.print(table(found, pair))
    for side, only in ((found.a, found.only_a), (found.b, found.only_b)):
        if only:
            console.print(f"only in {side}: {', '.join(only)}", markup=False, highlight=False)
    if found.of == "revisions":
        chosen = found.chosen[0] if len(set(found.chosen)) == 1 else " then ".join(found.chosen)
        console.print(f"chosen: {chosen}", markup=False, highlight=False)
    console.print(f"95 % intervals; {basis(found)}", style="dim", highlight=False)


def basis(found: Comparison) -> str:
    """What accuracy and latency were compared by."""
    paired = {one.metric: True for pair in found.pairs for one in pair.differences}
    for pair in found.pairs:
        for one in pair.differences:
            paired[one.metric] &= one.paired
    rows = "row by row" if paired["test_accuracy"] else "as if measured apart, since the rows are not the same ones"
    if paired.get("latency_p50_ms"):
        return (
            f"accuracy on test, {rows}; latency of b over that of a: p50 round by round of one benchmark, p95 by way "
            "of the reference, as if both were measured apart, which can be too wide, not too narrow"
        )
    return (
        f"accuracy on test, {rows}; latency of b over that of a by way of the reference, as if both were measured "
        "apart, which can be too wide, not too narrow: of two revisions the reference must be the same model, on the "
        "same kind of processor, and itself has no yardstick"
    )


def table(found: Comparison, pair: Pair) -> Table:
    """One line a metric."""
    made = Table(box=SIMPLE_HEAD, pad_edge=False)
    made.add_column("metric", overflow="fold")
    for name in (found.a, found.b):
        made.add_column(Text(name), justify="right", overflow="fold")
    made.add_column("change", justify="right", overflow="fold")
    made.add_column("verdict", overflow="fold")
    engines = {one.engine for each in found.pairs for one in each.differences if one.engine}
    for one in pair.differences:
        verdict = Text(one.verdict, COLOURS.get(one.verdict, ""))
        made.add_row(
            one.metric.replace("_", " ") + place(one, engines),
            figure(one, one.a),
            figure(one, one.b),
            change(one),
            verdict,
        )
    return made


def place(one: Difference, engines: Set[str]) -> str:
    """Where a latency was taken; the engine where `engines` are several, or another than ONNX Runtime."""
    if one.threads is None:
        return ""
    engine = f", {one.engine}" if engines != {"onnxruntime"} else ""
    return f"{engine}, {one.threads} thread(s), batch {one.batch}"


def figure(one: Difference, value: float) -> str:
    """A value as its metric is written."""
    if one.metric == "test_accuracy":
        return f"{value:.2%}"
    return f"{value:.3f}" if one.kind == "ratio" else f"{value:,.0f}"


def change(one: Difference) -> str:
    """How far b is from a, with the interval where there is one."""
    if one.change is None:
        return "no common yardstick"
    value, low, high = one.change.value, one.change.low, one.change.high
    if one.kind == "ratio":
        return f"×{value:.2f} [{low:.2f}, {high:.2f}]"
    if one.metric == "test_accuracy":
        return f"{100 * value:+.2f} [{100 * low:+.2f}, {100 * high:+.2f}] points"
    return f"{value:+,.0f}" + (f" ({value / one.a:+.0%})" if one.a else "")
