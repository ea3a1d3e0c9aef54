"""Whether an INT8 file answers alike on processors that add pairs of products in 16 bits (see `saturation`).

First an exact bound: when no pair of weights can leave 16 bits, the file is portable by proof. Else rows of `val` are
computed with exact and with saturating sums, and compared. What cannot be emulated is said not to be judged.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.core.arrays import batches, pick
from tasks.core.contract import Split
from tasks.core.findings import Portability
from tasks.core.graph import every_node
from tasks.core.rehearsal import lap
from tasks.evidence.at_risk import constants, label, refuse_unknown, risky
from tasks.evidence.integer_layers import FACTORS, Arithmetic
from tasks.evidence.interpret import Interpreter, fused
from tasks.evidence.patches import NotJudgedError

if TYPE_CHECKING:
    import onnx

Array = np.ndarray[Any, Any]

WORK = 5e9  # multiply-accumulates to emulate: half a minute at most on an ordinary core
FEWEST, MOST = 32, 256  # rows
AT_ONCE = 16
ADVICE = "advice: `reduce_range: true` (7-bit weights cannot saturate), or serve only where the processor has VNNI"


def judge(path: Path, split: Split, macs: int, one_by_one: bool) -> Portability | None:
    """What is known of the model at `path`; None when it multiplies no 8-bit integers.

    `macs` of one row decide how many rows of `split` are computed; `one_by_one`: each in a call of its own.
    """
    model = fused(path)
    layers = [node for node in every_node(model.graph) if node.op_type in FACTORS]
    try:
        refuse_unknown(model)
        if not layers:
            return None
        at_risk = [label(node) for node in layers if risky(node, constants(model))]
        if not at_risk:
            return Portability(verdict="portable by proof", layers=len(layers), sentence=sentence_of_proof(len(layers)))
        rows = int(np.clip(WORK / max(1, macs), FEWEST, MOST))
        some = sample(split, rows)
        with lap("emulated", len(some), most=rows):
            return emulate(model, some, 1 if one_by_one else AT_ONCE, at_risk, len(layers))
    except NotJudgedError as e:
        found = f"INT8 portability not judged: {e}; try the file on a processor without VNNI before you ship it to one"
        return Portability(verdict="not judged", layers=len(layers), sentence=found)


def sample(split: Split, rows: int) -> Split:
    """At most `rows` rows, evenly spread."""
    return pick(split, np.unique(np.linspace(0, len(split) - 1, min(rows, len(split))).astype(np.int64)))


def emulate(model: onnx.ModelProto, rows: Split, at_once: int, at_risk: list[str], layers: int) -> Portability:
    """The rows with exact and with saturating sums, compared."""
    interpreter, clipped = Interpreter(model), Counter[str]()
    pairs: list[tuple[Array, Array]] = []
    for inputs, _ in batches(rows, at_once):
        exact, saturating = Arithmetic(False), Arithmetic(True)
        mine = {i.name: inputs[i.name] for i in model.graph.input}
        pairs.append((interpreter.run(mine, exact), interpreter.run(mine, saturating)))
        clipped += saturating.clipped
    before, after = (np.concatenate(side) for side in zip(*pairs, strict=True))
    names = {node.name: label(node) for node in every_node(model.graph) if node.op_type in FACTORS}
    return verdict(before, after, {names[k]: n for k, n in clipped.items() if n}, at_risk, layers)


def verdict(exact_NC: Array, other_NC: Array, clipped: dict[str, int], at_risk: list[str], layers: int) -> Portability:
    """The record of two answers to the same rows; `clipped`: how many sums of which layer lost something."""
    rows = len(exact_NC)
    changed = int((exact_NC.argmax(axis=1) != other_NC.argmax(axis=1)).sum())
    spread = float(exact_NC.std(axis=0).max()) or 1.0
    difference = round(float(np.abs(exact_NC - other_NC).max()) / spread, 6)
    facts: dict[str, Any] = {"rows": rows, "layers": layers, "layers_at_risk": tuple(at_risk), "sums_clipped": clipped}
    if not difference:
        said = f"{len(at_risk)} of {layers} INT8 layers could saturate without VNNI; {rows} rows of val answer alike"
        return Portability(
            verdict="portable on sample", disagreement=0.0, logits_difference=0.0, sentence=said, **facts
        )
    said = (
        f"without VNNI, sums of {len(clipped)} of {layers} INT8 layers saturate: {changed} of {rows} rows of val get "
        f"another class, logits move by up to {difference:.2g} of their spread; {ADVICE}"
    )
    return Portability(
        verdict="differs", disagreement=changed / rows, logits_difference=difference, sentence=said, **facts
    )


def disagreement(found: Portability | None) -> float:
    """The share of rows answered otherwise on other processors: 0 by proof or without INT8, 1 where none is known."""
    if found is None or found.verdict == "portable by proof":
        return 0.0
    return 1.0 if found.disagreement is None else found.disagreement


def sentence_of_proof(layers: int) -> str:
    """What a person is told of a file that needs no emulation."""
    return f"no sum of two products in its {layers} INT8 layers can leave 16 bits: the same with and without VNNI"
