"""The shape of a Grafana dashboard, as far as one is needed here: schema version 39, Grafana 10 and newer.

Grafana ignores keys that it does not know; here one is an error.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict
from pydantic.alias_generators import to_camel

from tasks.core.frozen import Frozen

SOURCE = "${datasource}"
Unit = Literal["reqps", "s", "percentunit", "short", "bytes", "none"]


class Grafana(Frozen):
    """Base of Grafana's shapes: snake_case here, camelCase in the file."""

    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True, validate_by_alias=True)


class Source(Grafana):
    """Where the figures come from: the one that a reader picks at the top."""

    type: Literal["prometheus"] = "prometheus"
    uid: str = SOURCE


class Query(Grafana):
    """One line, or one family of lines, of a panel."""

    ref_id: str
    expr: str
    legend_format: str
    datasource: Source = Source()


class Place(Grafana):
    """Where a panel stands."""

    h: int
    w: int
    x: int
    y: int


class Defaults(Grafana):
    """How figures are written."""

    unit: Unit
    min: float | None = 0


class Fields(Grafana):
    """Of all figures of a panel alike."""

    defaults: Defaults
    overrides: tuple[dict[str, Any], ...] = ()


class Panel(Grafana):
    """One chart."""

    id: int
    type: Literal["timeseries", "bargauge"]
    title: str
    description: str
    grid_pos: Place
    field_config: Fields
    targets: tuple[Query, ...]
    datasource: Source = Source()


class Variable(Grafana):
    """What a reader can pick."""

    name: str
    label: str
    type: Literal["datasource"] = "datasource"
    query: Literal["prometheus"] = "prometheus"


class Templating(Grafana):
    """All that a reader can pick."""

    list: tuple[Variable, ...]


class Dashboard(Grafana):
    """The whole file."""

    uid: str
    title: str
    tags: tuple[str, ...]
    schema_version: int
    refresh: str
    time: dict[Literal["from", "to"], str]
    templating: Templating
    panels: tuple[Panel, ...]
