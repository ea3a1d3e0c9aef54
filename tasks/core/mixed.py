"""Mixed precision: which layers of one graph to leave in float, found by measuring on data.val.

*Use when* a scheme loses more accuracy than allowed. `sensitivity` has the mathematics; here are the graph, the data
and what goes on the card.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

import numpy as np
import onnx
from pydantic import JsonValue

from tasks.core.arrays import batches
from tasks.core.contract import Data, Facts, Split
from tasks.core.errors import TechniqueError
from tasks.core.export import LOGITS, session
from tasks.core.graph_macs import node_macs
from tasks.core.quantizable import layers as layers_of
from tasks.core.quantizable import verdict
from tasks.core.quantizer import Maker
from tasks.core.rehearsal import lap
from tasks.core.sensitivity import Array, Choice, Score, cheapest, most_sensitive, ranked, score

BATCH = 256


def keep_in_float(
    make: Maker,
    folded: onnx.ModelProto,
    val: Split,
    kept: Mapping[str, str],
    costs: Mapping[str, int],
    accuracy_drop: float,
    scheme: str,
) -> tuple[dict[str, str], Facts]:
    """The further nodes to keep in float, with the reasons, and facts for the card; `kept` stays in float anyway.

    `costs`: what each node costs in float, by its name. TechniqueError when no layer can be quantized in the budget.
    """
    reference = answers(folded, val)
    all_nodes, always = frozenset(n.name for n in folded.graph.node), frozenset(kept)
    full = make(always)
    quantized = set(verdict(folded, full, kept, scheme)[0])
    layers = {node: layer for node, layer in layers_of(folded).items() if layer in quantized}
    before = score(reference, reference, val.labels).accuracy
    after = score(answers(full, val), reference, val.labels)
    alone = {n: score(answers(make(all_nodes - {n}), val), reference, val.labels) for n in layers}

    def drop(more: frozenset[str]) -> float:
        return before - score(answers(make(always | more), val), reference, val.labels).accuracy

    choice = cheapest(ranked(alone, costs), costs, drop, accuracy_drop)
    if layers and len(choice.kept) == len(layers):
        least = min(((before - s.accuracy, layers[n]) for n, s in alone.items()), default=(0.0, ""))
        raise TechniqueError(
            f"quantize: keep_float: no layer can be quantized within accuracy_drop {accuracy_drop}: "
            f"val accuracy is {before:.4f} in float, {after.accuracy:.4f} with all {len(layers)} layers quantized, "
            f"and {least[0]:.4f} lower with {least[1]!r} alone, which loses least; raise accuracy_drop"
        )
    reasons = {n: f"kept in float: quantized alone, {_told(alone[n])}" for n in sorted(choice.kept)}
    return reasons, _facts(layers, alone, costs, choice, before, after.accuracy)


def cost_in_float(folded: onnx.ModelProto, data: Data, kind: Literal["macs", "bytes"]) -> dict[str, int]:
    """Node name -> multiply-accumulates of one row, or bytes of the weights in float."""
    if kind == "macs":
        rows = {name: tuple(values.shape[1:]) for name, values in data.train.inputs.items()}
        return node_macs(folded, rows)
    sizes = {t.name: 4 * math.prod(t.dims) for t in folded.graph.initializer}
    weights = {n.name: n.input[1] for n in folded.graph.node if n.name in layers_of(folded)}
    return {name: sizes[weight] for name, weight in weights.items()}


def answers(proto: onnx.ModelProto, split: Split) -> Array:
    """Logits (N, C) of all rows."""
    running = session(proto)
    with lap("answers", len(split)):
        return np.concatenate([running.run([LOGITS], inputs)[0] for inputs, _ in batches(split, BATCH)])


def _told(found: Score) -> str:
    return f"{1 - found.agreement:.2%} of the answers on val change"


def _facts(
    layers: Mapping[str, str],
    alone: Mapping[str, Score],
    costs: Mapping[str, int],
    choice: Choice,
    before: float,
    after: float,
) -> Facts:
    """The ranking, the most sensitive layer first, and what the search came to."""
    ranking: list[JsonValue] = [
        {
            "layer": layers[n],
            "accuracy_drop": before - alone[n].accuracy,
            "answers_changed": 1 - alone[n].agreement,
            "logit_noise": alone[n].logit_noise,
            "cost": costs[n],
            "kept_in_float": n in choice.kept,
        }
        for n in most_sensitive(alone)
    ]
    return {
        "sensitivity": ranking,
        "val_accuracy_float": before,
        "val_accuracy_all_quantized": after,
        "val_accuracy_drop": choice.accuracy_drop,
        "cost_kept_in_float": sum(costs[n] for n in choice.kept) / max(1, sum(costs[n] for n in layers)),
        "sets_measured": choice.sets_measured,
    }
