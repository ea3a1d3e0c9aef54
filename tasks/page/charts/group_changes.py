"""Who gained and who lost, by group of people: the change of recall within each group, with its interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tasks.core.findings import Interval
from tasks.core.results import Evaluation
from tasks.page.chart import ABOVE, INK, Chart, Numbers, plural, signed, to_json

MOST_VARIANTS = 12  # drawn; the table has all


def group_changes(reports: Mapping[str, Evaluation], reference: str, first: Sequence[str]) -> Chart | None:
    """A point and whisker for every variant and group; None for data without groups.

    Of many variants those of `first` are drawn, as many as there is room for.
    """
    import plotly.graph_objects as go

    drops = {name: report.harm.group_drop for name, report in reports.items() if name != reference}
    groups = list(next(iter(drops.values()), {}))
    if not groups:
        return None
    most = [name for name in (*first, *drops) if name in drops]
    shown = set(list(dict.fromkeys(most))[:MOST_VARIANTS])
    figure, names = go.Figure(), [name for name in drops if name in shown][::-1]
    for group in groups:
        found = [drops[name][group] for name in names]
        figure.add_scatter(
            name=group,
            y=names,
            x=[-100 * drop.value for drop in found],
            error_x={
                "array": [100 * (drop.value - drop.low) for drop in found],
                "arrayminus": [100 * (drop.high - drop.value) for drop in found],
                "thickness": 1,
            },
            mode="markers",
            orientation="h",
            offsetgroup=group,
            hovertemplate="%{y}, " + group + ": %{x:+.2f} points<extra></extra>",
        )
    figure.update_layout(scattermode="group", height=140 + len(names) * (14 + 12 * len(groups)))
    figure.update_layout(legend=ABOVE, xaxis_title="change of recall, points")
    figure.update_xaxes(zerolinecolor=INK)
    figure.update_yaxes(type="category", automargin=True, tickmode="linear")
    loss, name, lost = max((drop.value, name, g) for name, found in drops.items() for g, drop in found.items())
    label = f"Change of recall of {plural(len(groups), 'group')} under {plural(len(drops), 'variant')}: "
    label += f"{name} loses most, {100 * loss:.3g} points of {lost}" if loss > 0 else "no group lost anything"
    rows = tuple((name, *(told(found[g]) for g in groups)) for name, found in drops.items())
    return Chart(to_json(figure), label, Numbers(("variant", *(f"{g}, points" for g in groups)), rows))


def told(drop: Interval) -> str:
    """A drop as a change in points, gains positive, with its interval."""
    return f"{signed(-100 * drop.value)} ({signed(-100 * drop.high)} to {signed(-100 * drop.low)})"
