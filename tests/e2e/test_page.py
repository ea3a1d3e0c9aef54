"""The page in a real browser: every chart is drawn, nothing is asked of the network, and the pickers pick."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tasks import choose, report
from tasks.core import artifact
from tests.unit import fake_evidence, fake_project

pytestmark = pytest.mark.e2e
BROWSER = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), ""
)
BROWSERS_OWN = ("google.com", "googleapis.com", "gvt1.com")  # updates, clock, dictionaries: no page can ask for these
ASK = """<script>
addEventListener("drawn", () => {
for (const [id, value] of [["scatter-x", "size, MB"], ["scatter-y", "MACs"]]) {
  document.getElementById(id).value = value;
  document.getElementById(id).dispatchEvent(new Event("change"));
}
const shown = document.getElementById("scatter");
parent.postMessage(JSON.stringify({
  x: shown.layout.xaxis.title.text, y: shown.layout.yaxis.title.text, points: shown.data.flatMap((t) => t.x),
  wide: document.documentElement.scrollWidth - innerWidth, width: innerWidth,
}), "*");
});
</script>"""
FRAME = """<pre id="told"></pre><iframe src="report.html" style="width: WIDTHpx; height: 800px; border: 0"></iframe>
<script>
addEventListener("message", (event) => { document.getElementById("told").textContent = event.data; });
</script>"""  # a window of Chromium is not narrower than 500 px, a frame is


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    if not BROWSER:
        pytest.skip("there is no chromium or google-chrome on the path")
    monkeypatch.chdir(tmp_path)
    fake_project.make_project()
    fake_evidence.plant()
    settings = fake_project.settings(at_most={"accuracy_drop": 0.03})
    choose.run(settings)
    report.run(settings)
    return tmp_path / artifact.PAGE


def browse(page: Path, *options: str) -> tuple[str, str, set[str]]:
    """The drawn document, what went to the console, and every host that a request was for."""
    net = page.with_name("net.json")
    command = [
        *(BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"),
        *("--disable-component-update", "--no-first-run", "--host-resolver-rules=MAP * ~NOTFOUND"),
        *(f"--user-data-dir={page.parent / 'profile'}", f"--log-net-log={net}", "--enable-logging=stderr"),
        *("--virtual-time-budget=10000", "--dump-dom", *options, page.as_uri()),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    console = "\n".join(line for line in done.stderr.splitlines() if "CONSOLE" in line)
    asked = set(re.findall(r'"url":"https?://([^/"]+)', net.read_text(encoding="utf-8", errors="replace")))
    return done.stdout, console, asked


@pytest.mark.parametrize("size", ["1280,900", "390,844"])
def test_every_chart_is_drawn_and_nothing_leaves_the_page(page: Path, size: str) -> None:
    document, console, asked = browse(page, f"--window-size={size}")
    charts = re.findall(r'<div class="chart[^"]*" id="([\w-]+)"', document)
    assert len(charts) == 7, charts
    drawn = re.split(r'<div class="chart', document)[1:]
    assert all("main-svg" in each for each in drawn)
    assert console == ""
    assert {host for host in asked if not host.endswith(BROWSERS_OWN)} == set()


@pytest.mark.parametrize("width", [320, 375, 1280])
def test_pickers_change_the_axes_and_no_width_needs_a_sideways_scroll(page: Path, width: int) -> None:
    page.write_text(page.read_text(encoding="utf-8").replace("</body>", ASK + "</body>"), encoding="utf-8")
    frame = page.with_name("frame.html")
    frame.write_text(FRAME.replace("WIDTH", str(width)), encoding="utf-8")
    document, console, _ = browse(frame, "--window-size=1400,900")
    told = json.loads(re.findall(r'<pre id="told">(.*?)</pre>', document, re.S)[-1])
    assert told["width"] == width
    assert (told["x"], told["y"]) == ("size, MB", "MACs")
    assert sorted(told["points"]) == [0.25, 0.5, 1.0]
    assert told["wide"] <= 0
    assert console == ""


def test_a_fault_on_the_page_would_be_seen(page: Path) -> None:
    broken = page.read_text(encoding="utf-8").replace('"scatter"', '"scater"', 1)
    page.write_text(
        broken + '<script>throw new Error("planted")</script><img src="https://example.org/x">', encoding="utf-8"
    )
    _, console, _ = browse(page)
    assert "planted" in console and "Content Security Policy" in console


ACT = """<script>
addEventListener("drawn", () => {
  const seen = (id) => document.getElementById(id);
  const name = (row) => row.cells[0].textContent.replace(/[^a-z0-9_]/g, "");
  const names = () => [...seen("variants").tBodies[0].rows].map(name);
  const size = [...seen("variants").tHead.rows[0].cells].find((cell) => cell.textContent.startsWith("size"));
  const told = { before: names() };
  size.querySelector("button").click();
  told.sorted = names();
  told.said = size.getAttribute("aria-sort");
  seen("within").click();
  told.within = seen("scatter").data.flatMap((trace) => trace.text);
  for (const each of document.querySelectorAll("details")) each.open = true;
  const stops = [...document.querySelectorAll("a, button, select, input, summary, [tabindex='0']")];
  told.stops = stops.length;
  told.lost = stops.filter((each) => {
    each.focus();
    return document.activeElement !== each || getComputedStyle(each).outlineStyle === "none";
  }).map((each) => each.outerHTML.slice(0, 80));
  dispatchEvent(new Event("beforeprint"));
  told.paper = getComputedStyle(document.documentElement).getPropertyValue("--card").trim();
  told.ink = seen("scatter").layout.font.color;
  told.smooth = getComputedStyle(document.documentElement).scrollBehavior;
  document.body.insertAdjacentHTML("beforeend", `<pre id="told"></pre>`);
  seen("told").textContent = JSON.stringify(told);
});
</script>"""


def acted(page: Path, *options: str) -> dict[str, Any]:
    """What `ACT` saw on the page."""
    page.write_text(page.read_text(encoding="utf-8").replace("</body>", ACT + "</body>"), encoding="utf-8")
    document, console, _ = browse(page, "--window-size=1280,900", *options)
    assert console == ""
    told: dict[str, Any] = json.loads(re.findall(r'<pre id="told">(.*?)</pre>', document, re.S)[-1])
    return told


def test_table_sorts_points_are_left_out_and_the_keyboard_reaches_all(page: Path) -> None:
    told = acted(page, "--force-prefers-reduced-motion")
    assert told["before"] == ["baseline", "student", "student_int8"]
    assert (told["sorted"], told["said"]) == (["student_int8", "student", "baseline"], "ascending")
    assert sorted(told["within"]) == ["baseline", "student"]  # the third is over the budget
    assert told["stops"] > 40 and told["lost"] == []
    assert told["smooth"] == "auto"  # who wants no motion gets none


def test_dark_page_is_printed_on_white(page: Path) -> None:
    told = acted(page, "--blink-settings=preferredColorScheme=0")
    assert (told["paper"], told["ink"]) == ("#fff", "#1d1f23")


def test_browser_that_cannot_unpack_the_charts_says_so(page: Path) -> None:
    old = "<script>delete window.DecompressionStream;</script>"
    page.write_text(page.read_text(encoding="utf-8").replace("<head>", f"<head>{old}"), encoding="utf-8")
    document, _, _ = browse(page)
    assert re.search(r'<p class="alarm" id="no-charts" role="status">The charts cannot be drawn', document)
    assert "main-svg" not in document
