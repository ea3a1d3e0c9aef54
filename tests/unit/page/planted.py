"""The page made of planted evidence, and what a reader without eyes for layout gets of it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from html.parser import HTMLParser
from typing import Any

from tasks import choose, report
from tasks.core import artifact
from tasks.core.findings import Interval
from tests.unit import fake_evidence, fake_project

VOID = ("meta", "link", "br", "input")


def reported(changes: Mapping[str, Mapping[str, Any]] | None = None, chosen: str = "", **block: Any) -> str:
    """The page; `changes` overrides what is planted row by row, `chosen` what `choose` says."""
    fake_evidence.plant(changes)
    settings = fake_project.settings(**block)
    choose.run(settings)
    if chosen:
        known = artifact.CHOSEN.read_text(encoding="utf-8")
        artifact.write_json(artifact.CHOSEN, json.loads(known) | {"variant": chosen})
    report.run(settings)
    return fake_project.text(artifact.PAGE)


def with_classes(changes: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """`changes` of all three rows, each with the classes of its planted `recall_drop`."""
    return {
        name: {**change, "recall": dict.fromkeys(change["harm"]["recall_drop"], 0.9)}
        for name, change in changes.items()
    }


def around(value: float, half: float = 0.01) -> Interval:
    return Interval(value=value, low=value - half, high=value + half)


def figures(html: str) -> dict[str, Any]:
    """The page's charts, as it holds them, by their place."""
    found = re.findall(r'<script type="application/json" class="figure" data-for="([\w-]+)">(.*?)</script>', html, re.S)
    return {name: json.loads(text) for name, text in found}


def table(html: str, name: str) -> list[list[str]]:
    """The rows of the table with that id, heading first, as text."""
    (found,) = re.findall(rf'<table id="{name}"[^>]*>(.*?)</table>', html, re.S)
    rows = re.findall(r"<tr[^>]*>(.*?)</tr>", found, re.S)
    return [
        [re.sub(r"<[^>]*>|\s+", " ", cell).strip() for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.S)]
        for row in rows
    ]


class Reader(HTMLParser):
    """Tags in balance, links, ids, headings, and all that is said."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.said = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        for key, value in attrs:
            if key in ("src", "href", "xlink:href", "srcset", "action"):
                self.links.append(value or "")
            if key == "id":
                self.ids.append(value or "")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.said += data
