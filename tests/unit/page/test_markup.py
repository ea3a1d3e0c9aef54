"""The page as a document: self-contained, well formed, in an order that a screen reader can follow, and legible."""

from __future__ import annotations

import base64
import gzip
import re
from itertools import pairwise

import pytest

from tasks.core import artifact
from tasks.core.results import Summary
from tasks.evidence.waterfall import waterfalls
from tasks.page.drawing import FOLDER
from tasks.page.gathered import gather
from tasks.page.render import FIGURES, SECTIONS, figures
from tests.unit import fake_project
from tests.unit.page import planted
from tests.unit.page.planted import Reader, reported, table

STYLE = (FOLDER / "style.css").read_text(encoding="utf-8")


def test_page_is_well_formed_and_loads_nothing() -> None:
    html = reported()
    reader = Reader(html)
    assert reader.open == []
    assert all(link.startswith(("#", "data:")) for link in reader.links)
    own = re.sub(r"<script>.*?</script>", "", html, flags=re.S)
    assert not re.search(r"url\((?!#|\"#)|@import|<script src|https?://", own)
    assert "default-src 'none'" in own
    assert len(reader.ids) == len(set(reader.ids))
    assert {link[1:] for link in reader.links if link.startswith("#")} <= set(reader.ids)


def test_plotly_is_in_the_page_as_it_was_installed_and_smaller() -> None:
    from plotly.offline import get_plotlyjs

    html = reported()
    (packed,) = re.findall(r'id="plotly">([^<]*)<', html)
    assert gzip.decompress(base64.b64decode(packed)).decode() == get_plotlyjs()
    assert len(html) < 2.5e6


def test_a_close_call_is_a_caution_and_the_tails_stand_in_the_certificate() -> None:
    assert "A close call" not in reported()
    html = reported({"student": {"p95_ms": 0.31}})
    assert "A close call: latency_p95_ms does not tell it from student, within the budget too." in Reader(html).said
    head, *rows = table(html, "certificate")
    (row,) = [each for each in rows if each[:2] == ["student", "onnxruntime, 1 thread, batch 1"]]
    assert row[head.index("ratio of p95")].split() == ["0.207", "(0.196–0.217)"]


def test_every_section_is_in_the_contents_and_has_a_file() -> None:
    html = reported()
    listed = re.findall(r'<a href="#h-(\w+)">', html[html.index("<nav") : html.index("</nav>")])
    assert listed == list(SECTIONS) == re.findall(r'<h2 id="h-(\w+)"', html)
    files = {path.name.removesuffix(".html.j2") for path in (FOLDER / "sections").iterdir()}
    assert files == {*SECTIONS, *FIGURES, "macros", "verdict"}


def test_headings_begin_with_one_h1_and_leave_no_level_out() -> None:
    levels = [int(level) for level in re.findall(r"<h([1-6])\b", reported())]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_landmarks_tables_and_pickers_have_names_and_can_be_reached() -> None:
    tags = Reader(reported()).tags
    kinds = [tag for tag, _ in tags]
    assert kinds.count("main") == kinds.count("nav") == kinds.count("header") == 1
    assert dict(tags)["html"]["lang"] == "en"
    regions = [attributes for _, attributes in tags if attributes.get("role") == "region"]
    names = [attributes["aria-label"] for attributes in regions]
    assert all(attributes["tabindex"] == "0" for attributes in regions)
    assert len(set(names)) == len(names) > 8
    assert kinds.count("table") <= len(regions)
    assert kinds.count("select") == 3 and kinds.count("label") >= 3
    assert all(attributes["scope"] in ("col", "row") for tag, attributes in tags if tag == "th")
    skip = next(attributes for tag, attributes in tags if tag == "a")
    assert (skip["class"], skip["href"]) == ("skip", "#verdict")


def luminance(colour: str) -> float:
    """The relative luminance of #rgb or #rrggbb, from 0 to 1 (WCAG 2.2)."""
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    parts = [int(digits[k : k + 2], 16) / 255 for k in (0, 2, 4)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def mixed(colour: str, share: float, ground: str) -> str:
    """color-mix(in srgb, colour share, ground)."""
    pair = [("#" + "".join(2 * d for d in c[1:]) if len(c) == 4 else c) for c in (colour, ground)]
    parts = [[int(c[k : k + 2], 16) for k in (1, 3, 5)] for c in pair]
    return "#" + "".join(f"{round(share * a + (1 - share) * b):02x}" for a, b in zip(*parts, strict=True))


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_every_text_stands_out_from_what_is_behind_it(theme: int) -> None:
    colours = dict(re.findall(r"--(\w+): (#\w+);", re.findall(r":root[^{]*\{([^}]*)\}", STYLE)[theme]))
    tints = re.findall(r"color-mix\(in srgb, var\(--(\w+)\) (\d+)%, var\(--(\w+)\)\)", STYLE)
    assert len(tints) == 3  # the alarm, what is to be weighed, the chosen row
    grounds = {"paper": colours["paper"], "card": colours["card"]}
    grounds |= {f"tint of {a}": mixed(colours[a], int(share) / 100, colours[b]) for a, share, b in tints}
    for ground, behind in grounds.items():
        for text in ("ink", "muted", "front", "good", "bad"):
            one, other = sorted((luminance(colours[text]), luminance(behind)))
            assert (other + 0.05) / (one + 0.05) >= 4.5, f"{text} on {ground}"


def test_every_figure_is_a_page_of_its_own_with_its_charts_and_pickers() -> None:
    reported()
    settings = fake_project.settings()
    summary = artifact.read_json(artifact.SUMMARY, Summary)
    pages = figures(gather(settings.plan), summary, waterfalls(summary))
    assert list(pages) == list(FIGURES)
    charts = {name: [*planted.figures(html)] for name, html in pages.items()}
    parts = ["waterfall-accuracy", "waterfall-size", "waterfall-latency"]
    assert charts == {
        "trade": ["scatter"], "steps": parts, "latencies": ["latencies"], "classes": ["class-changes"],
    }  # fmt: skip
    for name, html in pages.items():
        reader = Reader(html)
        assert reader.open == [] and {*charts[name], "axes", "plotly", "no-charts"} <= set(reader.ids)
        assert len(reader.ids) == len(set(reader.ids))
        assert all(link.startswith("data:") for link in reader.links), "it loads nothing"
    assert 'id="scatter-x"' in pages["trade"] and 'id="leaf"' in pages["steps"]


def test_steps_without_a_second_variant_are_no_figure() -> None:
    reported()
    summary = artifact.read_json(artifact.SUMMARY, Summary)
    alone = summary.model_copy(update={"rows": summary.rows[:1]})
    assert "steps" not in figures(gather(fake_project.settings().plan), alone, waterfalls(alone))
