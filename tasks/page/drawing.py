"""The page's charts and all that they need to be drawn in a browser: style, script, plotting library, axes."""

from __future__ import annotations

import base64
import gzip
import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.core.results import Summary
from tasks.evidence.waterfall import Waterfalls
from tasks.page.charts import drawn
from tasks.page.charts.axes import axes
from tasks.page.gathered import Evidence

if TYPE_CHECKING:
    from markupsafe import Markup

FOLDER = Path(__file__).parent


def drawing(evidence: Evidence, summary: Summary, waterfalls: Waterfalls) -> dict[str, Any]:
    """What a template with charts reads."""
    from markupsafe import Markup

    offered = axes(evidence)
    within = [evidence.chosen.candidates[name].fits for name in evidence.reports]
    return {
        "e": evidence,
        "summary": summary,
        "waterfalls": waterfalls,
        "axes": list(offered),
        "axes_json": Markup(json.dumps({"axes": offered, "within": within}).replace("</", "<\\/")),
        "missed": sum(not candidate.fits for candidate in evidence.chosen.candidates.values()),
        "charts": drawn(evidence, waterfalls, offered),
        "style": _text("style.css"),
        "script": _text("page.js"),
        "plotly": library(),
    }


@cache
def library() -> str:
    """Plotly, gzip in base64: 2 MB in place of 5; the page unpacks it."""
    from plotly.offline import get_plotlyjs

    return base64.b64encode(gzip.compress(get_plotlyjs().encode(), mtime=0)).decode()


def _text(name: str) -> Markup:
    from markupsafe import Markup

    return Markup(FOLDER.joinpath(name).read_text(encoding="utf-8"))
