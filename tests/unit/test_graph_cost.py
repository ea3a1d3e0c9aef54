"""Counts against hand formulas, torch-pruning's counter, and the same network in its quantized forms."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tasks.core.errors import ArtifactError
from tasks.evidence.graph_cost import graph_cost
from tests.unit.fake_project import model_of, network

F = TensorProto.FLOAT


def build(nodes: list[Any], shape: list[Any], constants: dict[str, Any], out: str = "y") -> onnx.ModelProto:
    inits = [numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items()]
    x = helper.make_tensor_value_info("x", F, shape)
    return model_of(nodes, [x], [helper.make_tensor_value_info(out, F, None)], inits)


def saved(model: onnx.ModelProto, folder: Path) -> Path:
    onnx.save(model, str(folder / "m.onnx"))
    return folder / "m.onnx"


def zeros(*shape: int) -> np.ndarray:
    return np.zeros(shape, np.float32)


def test_mlp_by_hand_without_its_normalisation(tmp_path: Path) -> None:
    cost = graph_cost(saved(network(8), tmp_path))
    assert cost.macs == 16 * 8 + 8 * 3
    assert cost.parameters == 16 * 8 + 8 + 8 * 3 + 3
    assert cost.size_bytes == (tmp_path / "m.onnx").stat().st_size


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_grouped_strided_conv(tmp_path: Path, groups: int) -> None:
    node = helper.make_node("Conv", ["x", "w", "b"], ["y"], group=groups, strides=[2, 2], pads=[1] * 4)
    model = build([node], ["n", 4, 9, 9], {"w": zeros(8, 4 // groups, 3, 3), "b": zeros(8)})
    cost = graph_cost(saved(model, tmp_path))
    assert cost.macs == 8 * 5 * 5 * (4 // groups) * 9
    assert cost.parameters == 8 * (4 // groups) * 9 + 8


def test_transposed_conv(tmp_path: Path) -> None:
    node = helper.make_node("ConvTranspose", ["x", "w"], ["y"], strides=[2, 2])
    cost = graph_cost(saved(build([node], ["n", 3, 5, 5], {"w": zeros(3, 6, 2, 2)}), tmp_path))
    assert (cost.macs, cost.parameters) == (3 * 25 * 6 * 4, 3 * 6 * 4)


def test_attention_products_count_as_macs_and_not_as_parameters(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Transpose", ["x"], ["t"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["x", "t"], ["s"]),
        helper.make_node("MatMul", ["s", "x"], ["y"]),
    ]
    cost = graph_cost(saved(build(nodes, ["n", "len", 8], {}), tmp_path), {"x": (5, 8)})
    assert (cost.macs, cost.parameters) == (2 * 5 * 5 * 8, 0)


def test_gemm_transposed(tmp_path: Path) -> None:
    node = helper.make_node("Gemm", ["x", "w"], ["y"], transB=1)
    cost = graph_cost(saved(build([node], ["n", 6], {"w": zeros(4, 6)}), tmp_path))
    assert (cost.macs, cost.parameters) == (24, 24)


def test_norms_biases_and_formula_constants(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Sub", ["x", "mean"], ["x0"]),
        helper.make_node("Conv", ["x0", "w"], ["c"]),
        helper.make_node("BatchNormalization", ["c", "s", "b", "m", "v"], ["n"]),
        helper.make_node("Mul", ["n", "half"], ["h"]),
        helper.make_node("Add", ["h", "bias"], ["y"]),
    ]
    constants = {"mean": zeros(3, 1, 1), "w": zeros(4, 3, 1, 1), "bias": zeros(4, 1, 1), "half": np.float32(0.5)}
    constants |= {name: zeros(4) for name in "sbmv"}
    cost = graph_cost(saved(build(nodes, ["n", 3, 2, 2], constants), tmp_path))
    assert cost.parameters == 4 * 3 + 4 + 4 + 4  # w, scale, shift, bias
    assert cost.macs == 4 * 3 * 4


def test_shared_weight_counts_once(tmp_path: Path) -> None:
    nodes = [helper.make_node("MatMul", ["x", "w"], ["h"]), helper.make_node("MatMul", ["h", "w"], ["y"])]
    cost = graph_cost(saved(build(nodes, ["n", 5], {"w": zeros(5, 5)}), tmp_path))
    assert (cost.macs, cost.parameters) == (50, 25)


def test_unknown_shape_is_an_error_not_a_zero(tmp_path: Path) -> None:
    node = helper.make_node("MatMul", ["x", "w"], ["y"], name="lost")
    path = saved(build([node], ["n", "len", 5], {"w": zeros(5, 5)}), tmp_path)
    with pytest.raises(ArtifactError, match=r"m\.onnx.*'lost' \(MatMul\).*'x' is unknown"):
        graph_cost(path)
    assert graph_cost(path, {"x": (7, 5)}).macs == 7 * 25


def test_uncounted_operator_is_an_error(tmp_path: Path) -> None:
    node = helper.make_node("Einsum", ["x", "w"], ["y"], name="e", equation="ni,ij->nj")
    with pytest.raises(ArtifactError, match="Einsum"):
        graph_cost(saved(build([node], ["n", 5], {"w": zeros(5, 5)}), tmp_path))


def test_external_data_count_as_bytes(tmp_path: Path) -> None:
    model = network(64)
    inside = graph_cost(saved(model, tmp_path))
    path = tmp_path / "split.onnx"
    onnx.save(model, str(path), save_as_external_data=True, location="weights.bin", size_threshold=256)
    outside = graph_cost(path)
    assert outside[1:] == inside[1:]
    assert outside.size_bytes == path.stat().st_size + (tmp_path / "weights.bin").stat().st_size


@pytest.fixture(scope="module")
def conv_net(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    import torch
    from torch import nn

    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, stride=2, padding=1, groups=4),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 10),
    ).eval()
    for values in (module[1].weight, module[1].bias, module[1].running_mean, module[1].running_var):
        nn.init.uniform_(values.data, 0.5, 1.5)  # a norm that does nothing would be optimised away
    path = tmp_path_factory.mktemp("net") / "net.onnx"
    batch = torch.export.Dim("batch", min=1, max=64)
    torch.onnx.export(
        module,
        (torch.zeros(2, 3, 16, 16),),
        str(path),
        dynamo=True,
        input_names=["x"],
        output_names=["logits"],
        dynamic_shapes=({0: batch},),
        external_data=False,
        verbose=False,
    )
    return module, path


MACS = 8 * 16 * 16 * 27 + 8 * 8 * 8 * 2 * 9 + 80
WEIGHTS = 8 * 27 + 8 * 2 * 9 + 80


def test_exported_network_agrees_with_torch_pruning(conv_net: tuple[Any, Path]) -> None:
    import torch
    from torch_pruning.utils import count_ops_and_params

    module, path = conv_net
    cost = graph_cost(path)
    theirs, parameters = count_ops_and_params(module, torch.zeros(1, 3, 16, 16))
    assert cost.macs == MACS
    # folding the norm turns its scale and shift (8 + 8) into one bias (8)
    assert cost.parameters == parameters - 8 == WEIGHTS + 8 + 8 + 10
    # theirs also counts norms, activations, pooling and biases, about one operation an element
    assert cost.macs <= theirs <= 1.2 * cost.macs


def test_packed_weights_count_as_what_they_stand_for(tmp_path: Path) -> None:
    from tasks.core.blockwise import weight_only

    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["h"], name="first"),
        helper.make_node("Add", ["h", "b"], ["hb"], name="bias"),
        helper.make_node("MatMul", ["hb", "v"], ["y"], name="second"),
    ]
    rng = np.random.default_rng(0)
    arrays = {"w": rng.normal(size=(40, 24)), "b": rng.normal(size=24), "v": rng.normal(size=(24, 6))}
    model = build(nodes, ["n", "len", 40], {k: v.astype(np.float32) for k, v in arrays.items()})
    how = {"block_size": 16, "arithmetic": "int8", "exclude": ()}
    for bits, symmetric in ((4, True), (4, False), (8, True)):  # 40 and 24 are no multiples of a block
        packed = weight_only(model, bits=bits, symmetric=symmetric, **how)
        assert [n.op_type for n in packed.graph.node] == ["MatMulNBits", "Add", "MatMulNBits"]
        cost = graph_cost(saved(packed, tmp_path), {"x": (5, 40)})
        assert cost.macs == 5 * (40 * 24 + 24 * 6)
        assert cost.parameters == 40 * 24 + 24 + 24 * 6


@pytest.mark.parametrize("form", ["fp16", "bf16"])
def test_forms_of_16_bits_cost_the_same_work(conv_net: tuple[Any, Path], tmp_path: Path, form: str) -> None:
    from tasks.core import half

    _, path = conv_net
    cost, before = graph_cost(saved(getattr(half, form)(onnx.load(str(path)), ()), tmp_path)), graph_cost(path)
    assert (cost.macs, cost.parameters) == (before.macs, before.parameters)
    assert cost.size_bytes < before.size_bytes


class Reader:
    def __init__(self) -> None:
        self.left = iter([{"x": np.random.default_rng(0).normal(size=(4, 3, 16, 16)).astype(np.float32)}])

    def get_next(self) -> Any:
        return next(self.left, None)


@pytest.mark.parametrize("form", ["QDQ", "QOperator", "dynamic"])
def test_quantized_forms_cost_the_same_work(conv_net: tuple[Any, Path], tmp_path: Path, form: str) -> None:
    from onnxruntime import quantization as q

    _, path = conv_net
    out = tmp_path / "int8.onnx"
    if form == "dynamic":
        kinds = ["MatMul", "Gemm", "Conv"]
        q.quantize_dynamic(str(path), str(out), op_types_to_quantize=kinds, weight_type=q.QuantType.QUInt8)
    else:
        kind = getattr(q.QuantFormat, form)
        q.quantize_static(str(path), str(out), Reader(), quant_format=kind, per_channel=True)
    ops = {node.op_type for node in onnx.load(str(out)).graph.node}
    assert ops & {"DequantizeLinear", "QLinearConv", "ConvInteger"}
    cost, before = graph_cost(out), graph_cost(path)
    assert cost.macs == before.macs == MACS
    assert cost.parameters == before.parameters
