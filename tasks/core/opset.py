"""Which ONNX files the installed ONNX Runtime loads: found out by asking it, since it publishes no such number."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import onnx
import onnxruntime as ort
from onnx import TensorProto, helper

from tasks.core.errors import TechniqueError


def check_runtime(proto: onnx.ModelProto, made_by: str) -> None:
    """TechniqueError when the file's opset or IR version is newer than the installed ONNX Runtime supports."""
    (opset,) = [o.version for o in proto.opset_import if o.domain in ("", "ai.onnx")] or [1]
    for name, found, most in (("opset", opset, newest_opset()), ("IR version", proto.ir_version, newest_ir())):
        if found > most:
            raise TechniqueError(
                f"{made_by}: the ONNX file has {name} {found}; ONNX Runtime {ort.__version__} supports {most} at most: "
                f"write the file with {name} {most} or an older one, or install a newer onnxruntime"
            )


@cache
def newest_opset() -> int:
    """The newest opset of ONNX's own operators that ONNX Runtime loads."""
    oldest_ir = 8
    return _newest(range(onnx.defs.onnx_opset_version() + 5, 0, -1), lambda n: (n, oldest_ir))


@cache
def newest_ir() -> int:
    """The newest IR version that ONNX Runtime loads."""
    return _newest(range(int(onnx.IR_VERSION) + 5, 0, -1), lambda n: (newest_opset(), n))


def _newest(numbers: range, versions: Callable[[int], tuple[int, int]]) -> int:
    return next(n for n in numbers if _loads(*versions(n)))


def _loads(opset: int, ir: int) -> bool:
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "probe", values[:1], values[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir)
    options = ort.SessionOptions()
    options.log_severity_level = 4
    try:
        ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except (state.Fail, state.InvalidGraph, state.NotImplemented, state.InvalidArgument):
        return False
    return True
