"""Who gained and who lost, by class: the change of recall of every variant against the reference."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tasks.core.results import Evaluation
from tasks.page.chart import Chart, Numbers, plural, signed, to_json
from tasks.page.charts.heat import LOSS_TO_GAIN, heat

MOST_CLASSES = 40  # drawn; the table has all


def _limit(changes: Iterable[float]) -> float:
    """Where the colours end: what nine of ten changes stay below, so that one collapsed variant does not pale all."""
    moved = sorted(change for change in changes if change)
    return moved[int(0.9 * (len(moved) - 1))] if moved else 1.0


def class_changes(reports: Mapping[str, Evaluation], reference: str) -> Chart | None:
    """Variants down, classes across: those that moved most, by name. None without a second variant."""
    drops = {name: report.harm.recall_drop for name, report in reports.items() if name != reference}
    every = list(next(iter(drops.values()), {}))
    if not every:
        return None
    most = sorted(every, key=lambda c: -max(abs(found[c].value) for found in drops.values()))[:MOST_CLASSES]
    columns = [c for c in every if c in most]
    cells = [[-100 * found[c].value for c in columns] for found in drops.values()]
    widest = _limit(abs(v) for row in cells for v in row)
    figure = heat(columns, list(drops), cells, LOSS_TO_GAIN, (-widest, widest), "points of recall")
    loss, name, lost = max((drop.value, name, c) for name, found in drops.items() for c, drop in found.items())
    label = f"Heat map of the change of recall, {plural(len(drops), 'variant')} by {len(columns)} classes: " + (
        f"{name} loses most, {100 * loss:.3g} points of {lost}" if loss > 0 else "no class lost anything"
    )
    rows = tuple((c, *(signed(-100 * found[c].value) for found in drops.values())) for c in every)
    return Chart(to_json(figure), label, Numbers(("class", *drops), rows))
