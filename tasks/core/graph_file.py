"""A stranger's ONNX file as a graph of this house: one file, ONNX's own operators, the house's opset, same answers.

Nothing in an ONNX file runs as code; what could reach outside it, data in other files, is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import onnx
from onnx import inliner, version_converter

from tasks.core.errors import TechniqueError
from tasks.core.export import OPSET

DOMAINS = ("", "ai.onnx", "com.microsoft")
"""Whose operators ONNX Runtime brings with it."""


def read(path: Path) -> onnx.ModelProto:
    """The valid, self-contained model at `path`; TechniqueError, saying what to do, when it is none."""
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    try:
        proto = onnx.load(str(path), load_external_data=False)
    except (DecodeError, OSError) as e:
        raise TechniqueError(f"load_onnx: {path} is no ONNX file: {e}") from None
    if outside := [t.name for t in tensors(proto) if t.data_location == onnx.TensorProto.EXTERNAL]:
        raise TechniqueError(
            f"load_onnx: {path} keeps {len(outside)} weights in other files ({outside[0]} first); save it as one file: "
            "onnx.save(onnx.load(old), new)"
        )
    proto = inliner.inline_local_functions(proto)
    foreign = sorted({f"{n.domain}.{n.op_type}" for n in nodes(proto.graph) if n.domain not in DOMAINS})
    if foreign:
        raise TechniqueError(f"load_onnx: {path} needs custom operators {foreign}; only ONNX's own are allowed")
    constants = {t.name for t in proto.graph.initializer}
    for listed in [i for i in proto.graph.input if i.name in constants]:  # as files before IR version 4 did
        proto.graph.input.remove(listed)
    proto.ir_version = max(proto.ir_version, 4)
    try:
        onnx.checker.check_model(proto, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as e:
        raise TechniqueError(f"load_onnx: {path} is not a valid model: {str(e).splitlines()[0]}") from None
    return proto


def at_opset(proto: onnx.ModelProto, path: Path) -> onnx.ModelProto:
    """`proto` converted to opset OPSET; TechniqueError when ONNX's converter cannot."""
    (version,) = [o.version for o in proto.opset_import if o.domain in ("", "ai.onnx")] or [OPSET]
    if version == OPSET:
        return proto
    try:
        out: onnx.ModelProto = version_converter.convert_version(proto, OPSET)
    except (version_converter.ConvertError, RuntimeError) as e:
        reason = str(e).splitlines()[0]
        raise TechniqueError(
            f"load_onnx: {path} has opset {version} and cannot be converted: {reason}; export it with opset {OPSET}"
        ) from None
    return out


def nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """Every node, those of branches and loops included."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in [*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs]:
                yield from nodes(inner)


def tensors(proto: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """Every constant: initializers, sparse ones, and those in attributes, of branches, loops and functions too."""
    graphs = [proto.graph]
    inner = [*nodes(proto.graph), *(n for f in proto.functions for n in f.node)]
    for node in inner:
        for a in node.attribute:
            graphs += [*([a.g] if a.HasField("g") else []), *a.graphs]
            yield from [*([a.t] if a.HasField("t") else []), *a.tensors]
            for sparse in [*([a.sparse_tensor] if a.HasField("sparse_tensor") else []), *a.sparse_tensors]:
                yield from (sparse.values, sparse.indices)
    for graph in graphs:
        yield from graph.initializer
        for sparse in graph.sparse_initializer:
            yield from (sparse.values, sparse.indices)


def rename(graph: onnx.GraphProto, old: str, new: str) -> None:
    """Give the value `old` the name `new` wherever it is made or read, in place; what had that name gets another."""
    if old == new:
        return
    used = {name for node in nodes(graph) for name in (*node.input, *node.output)}
    used |= {v.name for v in (*graph.input, *graph.output, *graph.initializer)}
    if new in used:
        rename(graph, new, next(f"{new}_{k}" for k in range(len(used) + 1) if f"{new}_{k}" not in used))
    for node in nodes(graph):
        node.input[:] = [new if name == old else name for name in node.input]
        node.output[:] = [new if name == old else name for name in node.output]
    for value in (*graph.input, *graph.output, *graph.initializer, *graph.value_info):
        value.name = new if value.name == old else value.name
