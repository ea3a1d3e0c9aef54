"""Files that the installed ONNX Runtime cannot load are refused when they are made, in words."""

from __future__ import annotations

import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper

from tasks.core.errors import TechniqueError
from tasks.core.export import OPSET
from tasks.core.opset import check_runtime, newest_ir, newest_opset


def model(opset: int, ir: int) -> onnx.ModelProto:
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 3]) for name in ("features", "logits")]
    nodes = [helper.make_node("Relu", ["features"], ["logits"])]
    graph = helper.make_graph(nodes, "g", values[:1], values[1:])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir)


def loads(opset: int, ir: int) -> bool:
    options = ort.SessionOptions()
    options.log_severity_level = 4
    try:
        ort.InferenceSession(model(opset, ir).SerializeToString(), options, providers=["CPUExecutionProvider"])
    except Exception:
        return False
    return True


def test_the_newest_is_the_border() -> None:
    assert loads(newest_opset(), 8) and not loads(newest_opset() + 1, 8)
    assert loads(OPSET, newest_ir()) and not loads(OPSET, newest_ir() + 1)


def test_the_house_opset_is_supported() -> None:
    check_runtime(model(OPSET, 10), "train")


@pytest.mark.parametrize(("by", "name"), [((1, 0), "opset"), ((0, 1), "IR version")])
def test_a_newer_file_is_refused_with_what_to_do(by: tuple[int, int], name: str) -> None:
    proto = model(newest_opset() + by[0], newest_ir() + by[1])
    with pytest.raises(TechniqueError, match=rf"load_onnx: the ONNX file has {name} \d+; ONNX Runtime .*older one"):
        check_runtime(proto, "load_onnx")
