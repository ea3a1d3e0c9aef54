"""What became of the rows that a running service's shadow was given, by its own /metrics."""

from __future__ import annotations

import urllib.request
from typing import NamedTuple

from prometheus_client.parser import text_string_to_metric_families

SAMPLE = "stillroom_shadow_rows_total"


class ShadowRows(NamedTuple):
    """Rows since the service started."""

    compared: float  # agreed or disagreed
    dropped: float
    failed: float


def read(text: str) -> ShadowRows:
    """From the text of /metrics; an outcome that has not come yet is 0."""
    found = {"agreed": 0.0, "disagreed": 0.0, "dropped": 0.0, "failed": 0.0}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == SAMPLE:
                found[sample.labels["outcome"]] += sample.value
    return ShadowRows(found["agreed"] + found["disagreed"], found["dropped"], found["failed"])


def shadow_rows(port: int) -> ShadowRows:
    """Of the service on this port."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        return read(answer.read().decode())
