"""The segments of a network with early exits, as ONNX models: run, quantized, made to decide, and stitched.

A segment gives `logits`, its exit's answer, and `hidden`, what the next one starts from; the last gives `logits` alone.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tasks.core import int8
from tasks.core.arrays import batches
from tasks.core.contract import Split
from tasks.core.export import LEVELS, session
from tasks.core.graph import drop_unused, float_output
from tasks.core.quiet import quiet
from tasks.core.stitch import LOGITS, chain, inlined, model
from tasks.core.thresholds import ALWAYS, NEVER

Array = np.ndarray[Any, Any]
HIDDEN = "hidden"


def answers(segments: Sequence[onnx.ModelProto], split: Split, level: str = LEVELS[-1]) -> Array:
    """(K, N, C) logits of every exit for all rows of `split`, as if none had left early; `level` is one of LEVELS."""
    sessions = [session(proto, level) for proto in segments]
    found: list[list[Array]] = [[] for _ in segments]
    for inputs, _ in batches(split, 256):
        (x,) = inputs.values()
        for held, each in zip(found, sessions, strict=True):
            logits, *hidden = each.run(None, {each.get_inputs()[0].name: x})
            held.append(logits)
            x = hidden[0] if hidden else x
    return np.stack([np.concatenate(each) for each in found])


def quantized(segments: Sequence[onnx.ModelProto], calibration: Split) -> list[onnx.ModelProto]:
    """Each segment in static INT8; its ranges are those of `calibration` as the float segments before give it."""
    out, split = [], calibration
    for proto in segments:
        with tempfile.TemporaryDirectory() as name, quiet():
            int8.fold(proto, Path(name))
            found = int8.ranges(Path(name), split, method="MinMax", percentile=100)
            made = int8.static(Path(name), found, reduce_range=False)
        float_output(made)
        out.append(made)
        if len(proto.graph.output) == 2:
            runner = session(proto)
            parts = [runner.run([HIDDEN], dict(inputs))[0] for inputs, _ in batches(split, 256)]
            split = Split({f"{HIDDEN}_in": np.concatenate(parts)}, split.labels)
    return out


def stitched(
    segments: Sequence[onnx.ModelProto], thresholds: Sequence[float], confidence: str, classes: int
) -> onnx.ModelProto:
    """One model in which every row leaves at the first exit that is sure enough.

    Exits of threshold NEVER are cut off, and so is what stands behind one of threshold ALWAYS.
    """
    kept: list[onnx.ModelProto] = []
    ahead: onnx.ModelProto | None = None
    for proto, threshold in zip(segments, [*thresholds, None], strict=True):
        proto = proto if ahead is None else merged(ahead, proto)
        ahead = proto if threshold == NEVER else None
        if threshold is None or threshold == ALWAYS:
            kept.append(live(proto, [LOGITS]))
            break
        if ahead is None:
            kept.append(decided(proto, confidence, threshold, classes))
    raw = [i.name for i in kept[0].graph.input]
    return model([chain(kept, raw, "s/", LOGITS)], kept[0], classes)


def merged(first: onnx.ModelProto, second: onnx.ModelProto) -> onnx.ModelProto:
    """Two segments as one, without the exit between them."""
    raw, hidden = first.graph.input[0].name, second.graph.input[0].name
    before = inlined(first, "a/", {raw: raw, HIDDEN: "between"})
    after = inlined(second, "b/", {hidden: "between", LOGITS: LOGITS, HIDDEN: HIDDEN})
    graph = helper.make_graph(
        [*before.nodes, *after.nodes],
        "merged",
        list(first.graph.input),
        list(second.graph.output),
        [*before.constants, *after.constants],
    )
    out = helper.make_model(graph, opset_imports=list(first.opset_import), ir_version=first.ir_version)
    return live(out, [o.name for o in second.graph.output])


def live(proto: onnx.ModelProto, outputs: Sequence[str]) -> onnx.ModelProto:
    """A copy with these outputs alone, and without what they do not need."""
    out = onnx.ModelProto()
    out.CopyFrom(proto)
    nodes, read = [], set(outputs)
    for node in reversed(proto.graph.node):
        if read & set(node.output):
            nodes.append(node)
            read |= set(node.input)
    kept = [o for o in proto.graph.output if o.name in outputs]
    del out.graph.node[:], out.graph.output[:]
    out.graph.node.extend(nodes[::-1])
    out.graph.output.extend(kept)
    drop_unused(out)
    return out


def decided(proto: onnx.ModelProto, confidence: str, threshold: float, classes: int) -> onnx.ModelProto:
    """A segment of a chain from one that gives `logits` and `hidden`: rows less confident than `threshold` go on.

    `confidence` is a name of `tasks.core.thresholds.MEASURES`. A row whose confidence is NaN goes on.
    """
    out = onnx.ModelProto()
    out.CopyFrom(proto)
    held = {"threshold": np.float32(threshold), "axis": np.array([1]), "one": np.float32(1)}
    held["scale"] = np.float32(1 / np.log(classes))
    if confidence == "max_probability":
        steps = [("Softmax", [LOGITS], "p", {"axis": 1}), ("ReduceMax", ["p", "axis"], "sure", {"keepdims": 0})]
    else:
        steps = [
            ("LogSoftmax", [LOGITS], "logp", {"axis": 1}),
            ("Exp", ["logp"], "p", {}),
            ("Mul", ["p", "logp"], "plogp", {}),
            ("ReduceSum", ["plogp", "axis"], "negative_entropy", {"keepdims": 0}),
            ("Mul", ["negative_entropy", "scale"], "scaled", {}),
            ("Add", ["scaled", "one"], "sure", {}),
        ]
    steps += [("GreaterOrEqual", ["sure", "threshold"], "leaves", {}), ("Not", ["leaves"], "go_on", {})]
    read = {name for _, inputs, _, _ in steps for name in inputs}

    def own(name: str) -> str:
        return name if name == LOGITS else f"exit/{name}"

    for op, inputs, name, attributes in steps:
        out.graph.node.append(helper.make_node(op, [*map(own, inputs)], [own(name)], own(name), **attributes))
    out.graph.initializer.extend(numpy_helper.from_array(np.asarray(v), own(k)) for k, v in held.items() if k in read)
    by_name = {o.name: o for o in proto.graph.output}
    del out.graph.output[:]
    go_on = helper.make_tensor_value_info("exit/go_on", TensorProto.BOOL, None)
    out.graph.output.extend([by_name[LOGITS], go_on, by_name[HIDDEN]])
    return out
