"""The checklist of a careful compression, filled in from what was done and measured: nothing is ticked by hand."""

from __future__ import annotations

from typing import Any

from tasks.core.contract import Card
from tasks.page.live import ab_test, monitoring
from tasks.page.seen import Item, Seen, State

PRUNES = ("prune", "subnet", "slim")
INT8 = ("quantize", "qat")
MAKES = ("train", "load", "load_onnx", "ensemble", "scale")  # a model in the first place; all others make it smaller
TRIES = ("rounds", "trials")  # parameters of techniques that look again and again


def checklist(seen: Seen) -> tuple[Item, ...]:
    """The eleven points, in the order in which they are usually met."""
    return (
        _baseline(seen),
        _tried("INT8 tried", seen, [n for n, c in seen.cards.items() if c.technique in INT8 and not _half(c)]),
        _drop(seen),
        _tried("Structured pruning tried", seen, [n for n, c in seen.cards.items() if c.technique in PRUNES]),
        _recovered(seen),
        _tried("Distillation considered", seen, [n for n, c in seen.cards.items() if c.technique == "distill"]),
        _format(seen),
        _hardware(seen),
        monitoring(seen.rollout),
        ab_test(seen.rollout),
        _iterated(seen),
    )


def _baseline(seen: Seen) -> Item:
    title, name = "Baseline measured", seen.reference
    rows, calls = seen.reports[name].test.rows, seen.timings[name].calls
    told = f"{name}: {rows} test rows, {calls:,} timed calls"
    if not rows or not calls:
        return Item(title, "open", f"{told}: nothing to compare with")
    if shrunk := [each for each in _chain(seen, name) if seen.cards[each].technique not in MAKES]:
        techniques = ", ".join(f"{each} ({seen.cards[each].technique})" for each in shrunk)
        return Item(
            title, "open", f"{told}; it is compressed itself, by {techniques}: gains are not over the full model"
        )
    return Item(title, "done", told)


def _chain(seen: Seen, name: str) -> list[str]:
    """A row and those that it was made from, the first last."""
    found = []
    while name in seen.cards:
        found.append(name)
        name = seen.cards[name].parent
    return found


def _iterated(seen: Seen) -> Item:
    """More than one attempt at a technique: several rows of it, or a row that goes over it several times by itself."""
    again = f"schedule.yaml runs it all again at {seen.cron}; only what changed is computed"
    rows: dict[str, list[str]] = {}
    for name, card in seen.cards.items():
        if card.technique not in MAKES:
            rows.setdefault(card.technique, []).append(name)
    told = [f"{technique} in {len(names)} rows" for technique, names in rows.items() if len(names) > 1]
    told += [
        f"{n}: {tries} {key}" for n, card in seen.cards.items() for key in TRIES if (tries := _tries(card, key)) > 1
    ]
    if told:
        return Item("Iterated", "done", f"{'; '.join(told)}. {again}")
    return Item(
        "Iterated", "open", f"no technique was tried in a second way: another setting, or another parent. {again}"
    )


def _tries(card: Card, key: str) -> int:
    found = card.params.get(key)
    return found if isinstance(found, int) else 0


def _tried(title: str, seen: Seen, rows: list[str]) -> Item:
    if not rows:
        return Item(title, "open", "no row of the plan does it")
    told = ", ".join(f"{n} ({_points(seen.reports[n].harm.accuracy_drop.value)})" for n in rows[:3])
    return Item(title, "done", told + (f" and {len(rows) - 3} more" if len(rows) > 3 else ""))


def _points(drop: float) -> str:
    return f"{abs(100 * drop):.2f} points {'gained' if drop < 0 else 'lost'}"


def _half(card: Card) -> bool:
    return str(card.params.get("scheme", "")) in ("fp16", "bf16")


def _drop(seen: Seen) -> Item:
    title, drop = "Drop within the limit", seen.reports[seen.chosen].harm.accuracy_drop
    if seen.accuracy_drop is None:
        return Item(title, "open", "choose.at_most has no accuracy_drop")
    told = f"{seen.chosen}: {100 * drop.value:.2f} points on test, 95 % sure of at most {100 * drop.high:.2f}"
    limit = f"the limit is {100 * seen.accuracy_drop:g}"
    return Item(title, "done" if drop.high <= seen.accuracy_drop else "open", f"{told}; {limit}")


def _recovered(seen: Seen) -> Item:
    title = "Recovery after pruning"
    pruned = [n for n, c in seen.cards.items() if c.technique in (*PRUNES, "sparsify")]
    done = [n for n in pruned if seen.cards[n].params.get("recover")]
    if not pruned:
        return Item(title, "open", "nothing was pruned")
    told = ", ".join(f"{n}: {_epochs(seen.cards[n])}" for n in done[:3])
    return Item(title, "done", told) if done else Item(title, "open", f"{', '.join(pruned[:3])}: without `recover`")


def _epochs(card: Card) -> str:
    recover: Any = card.params["recover"]
    return f"{recover['epochs']} epochs" if isinstance(recover, dict) and "epochs" in recover else "recovered"


def _format(seen: Seen) -> Item:
    found = seen.reports[seen.chosen].portability
    told = "ONNX, the file that was measured is the file that is served"
    if found is None:
        return Item("Target format", "done", told)
    state: State = "done" if found.verdict in ("portable by proof", "portable on sample") else "open"
    return Item("Target format", state, f"{told}; INT8: {found.verdict}")


def _hardware(seen: Seen) -> Item:
    told = f"measured on {seen.bench.machine.cpu}; is that what will serve it?"
    if seen.bench.noise.disturbances:
        return Item("Target hardware", "open", f"{told} The machine was not quiet")
    verdict = seen.timings[seen.chosen].verdict
    return Item("Target hardware", "done", f"{told} Verdict there: {verdict}")
