"""The page's charts in MLflow: each an artifact of the parent run, a self-contained page that its viewer shows.

Not by `mlflow.log_figure`: that fetches Plotly from the network, or repeats its 5 MB in every figure. These hold it
packed, 2 MB each, and are drawn by the page's own script, with its pickers and in its colours.
"""

from __future__ import annotations

from tasks.core.results import Summary
from tasks.evidence.waterfall import waterfalls
from tasks.page.gathered import gather
from tasks.page.render import FIGURES, figures
from tasks.plan.schema import Plan

FOLDER = "figures"


def log_figures(plan: Plan, summary: Summary) -> dict[str, str]:
    """Log them to the active run; {title: path of the artifact}, of those for which there was something to draw."""
    import mlflow

    logged = {}
    for name, html in figures(gather(plan), summary, waterfalls(summary)).items():
        title, _ = FIGURES[name]
        logged[title] = f"{FOLDER}/{name}.html"
        mlflow.log_text(html, logged[title])
    return logged
