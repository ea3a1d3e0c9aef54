"""Which layers do not bear quantization: how many answers change when one layer alone is quantized."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tasks.page.chart import Chart, Numbers, plural, to_json
from tasks.page.charts.heat import NONE_TO_MUCH, heat

MOST_LAYERS = 40  # drawn; the table has all


def sensitivity(facts: Mapping[str, Mapping[str, Any]]) -> Chart | None:
    """From the facts of every card; None where no row measured it (`quantize` does, with `keep_float`)."""
    found = {name: _changed(known["sensitivity"]) for name, known in facts.items() if known.get("sensitivity")}
    if not found:
        return None
    worst: dict[str, float] = {}
    for by_layer in found.values():
        worst |= {layer: max(share, worst.get(layer, 0.0)) for layer, share in by_layer.items()}
    layers = sorted(worst, key=lambda layer: -worst[layer])
    shown = layers[:MOST_LAYERS]
    cells = [[by_layer.get(layer) for layer in shown] for by_layer in found.values()]
    figure = heat(shown, list(found), cells, NONE_TO_MUCH, (0.0, worst[layers[0]] or 1.0), "% of answers")
    label = (
        f"Heat map of {plural(len(shown), 'layer')} by {plural(len(found), 'variant')}: most sensitive is {layers[0]},"
        f" where {worst[layers[0]]:.3g} % of answers change"
    )
    rows = tuple((layer, *(_cell(by_layer.get(layer)) for by_layer in found.values())) for layer in layers)
    return Chart(to_json(figure), label, Numbers(("layer", *(f"{name}, %" for name in found)), rows))


def _changed(ranking: list[dict[str, Any]]) -> dict[str, float]:
    return {each["layer"]: 100 * each["answers_changed"] for each in ranking}


def _cell(share: float | None) -> str:
    return "–" if share is None else f"{share:.3g}"
