"""The branches of every `If` of an ONNX graph laid out in the graph itself, so that what they cost can be counted.

Such a graph is not for running: both branches stand side by side. A Compress over the batch, which gathers the rows
that a branch works on, lets its one row through: what is counted is a row that goes all the way.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx

Path = tuple[tuple[str, str], ...]
"""Which branches a node stands in, outermost first: (the name of the If's first output, then_branch or else_branch)."""


def laid_out(model: onnx.ModelProto) -> tuple[onnx.ModelProto, dict[str, Path]]:
    """A copy without any If, and the path of every node that stood in a branch, by the node's (new) name."""
    from onnx import ModelProto

    copy = ModelProto()
    copy.CopyFrom(model)
    if not any(node.op_type == "If" for node in model.graph.node):
        return copy, {}
    paths: dict[str, Path] = {}
    nodes = list(_flat(model.graph, (), paths, copy.graph, {}))
    del copy.graph.node[:]
    copy.graph.node.extend(nodes)
    return copy, paths


def _flat(
    graph: onnx.GraphProto,
    path: Path,
    paths: dict[str, Path],
    flat: onnx.GraphProto,
    outer: Mapping[str, str],
) -> Iterator[onnx.NodeProto]:
    """The nodes of `graph`; names made within a branch get its path in front, those of `outer` are kept as mapped."""
    from onnx import NodeProto, helper

    prefix = "/".join(part for step in path for part in step)
    made = {name for node in graph.node for name in node.output if name} | {t.name for t in graph.initializer}
    known = {**outer, **({name: f"{prefix}/{name}" for name in made} if path else {})}
    if path:
        for tensor in graph.initializer:
            held = flat.initializer.add()
            held.CopyFrom(tensor)
            held.name = known[tensor.name]
    for index, old in enumerate(graph.node):
        node = NodeProto()
        node.CopyFrom(old)
        node.input[:] = [known.get(name, name) for name in old.input]
        node.output[:] = [known.get(name, name) for name in old.output]
        if path:
            node.name = f"{prefix}/{old.name or index}"
            paths[node.name] = path
        if node.op_type == "If":
            for branch in old.attribute:
                inner = (*path, (node.output[0], branch.name))
                yield from _flat(branch.g, inner, paths, flat, known)
            yield from _joined(node, {a.name: a.g for a in old.attribute}, path, paths)
            continue
        if node.op_type == "Compress" and [a.i for a in node.attribute if a.name == "axis"] == [0]:
            node = helper.make_node("Identity", node.input[:1], node.output, node.name)
        yield node


def _joined(
    node: onnx.NodeProto, branches: Mapping[str, onnx.GraphProto], path: Path, paths: dict[str, Path]
) -> Iterator[onnx.NodeProto]:
    """What stands for the outputs of an If: those of its then branch."""
    from onnx import helper

    step = (*path, (node.output[0], "then_branch"))
    prefix = "/".join(part for each in step for part in each)
    for output, value in zip(node.output, branches["then_branch"].output, strict=True):
        yield helper.make_node("Identity", [f"{prefix}/{value.name}"], [output], f"{output}/joined")


def dearest(costs: list[tuple[Path, int]]) -> int:
    """The sum of the costs of a row that takes the dearer branch of every If."""
    total = 0
    below: dict[str, dict[str, list[tuple[Path, int]]]] = {}
    for path, cost in costs:
        if not path:
            total += cost
        else:
            (name, branch), rest = path[0], path[1:]
            below.setdefault(name, {}).setdefault(branch, []).append((rest, cost))
    return total + sum(max(dearest(each) for each in branches.values()) for branches in below.values())
