"""Portability of INT8 files: planted ones found, proven ones passed, others refused; sums as AVX2 has them.

RECORDED holds what ONNX Runtime 1.32 answered on qemu-x86_64 7.2 with `-cpu Haswell` (AVX2, no VNNI), as SHA-256 of the
output's bytes: `benchmarks/portability.py --qemu` computes them again.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from tasks.core.contract import Graph, Split
from tasks.evidence import portability
from tasks.evidence.integer_layers import Arithmetic
from tasks.evidence.interpret import Interpreter, fused
from tasks.evidence.machine import cpu_model
from tasks.techniques import quantize
from tests.unit import tiny
from tests.unit.int8_graphs import LAYERS, conv, graph, matmul, planted

RECORDED = {
    "conv": "889816bba6104b5d71526e7ed44cb503796b64568a939a7638c5572dd09d9dee",
    "conv_1x1": "03eca043088b1bf475fc8eea90bb05a20b723ca8329250baa1ea583010267df6",
    "conv_depthwise": "871c8a96bd462b8f8bb3bb094f4a704f79f2b7e814ef2bf931876e09b770f2c8",
    "conv_groups": "f583918ad4a3e140e3eed0a9d4e359a7a9a0150ac2825d100201ebdaa21368a9",
    "conv_integer_s8": "aa03c8eff5aebdae4fc418a4fa3ab8d92e5508893e013ac07f4c213761b736ea",
    "conv_integer_u8": "ee0a7b94461f8b9a1ca43a8049c9cf2114616ce4101293ef3b80b92e0794fd65",
    "conv_multiplied": "f3052f69d93340b646380a26dfb246ab5ff759495a9d0eec524a1ad93c38c17f",
    "conv_odd": "4c558e9b6fbde0222bbc6ad20cc95e6d288ea2abd82a9942cc1c232ebb7a54c5",
    "conv_strided": "911857df73951c21c9a1fdd52702de92a54b418aef42a4797d059500335bf987",
    "matmul": "426f8fee557ebd39ad7667e6a1592484fa3b783aecaa50e06f4139e7fa59b498",
    "matmul_one_row": "1cdcd77eaf9e7599bf91db9b2ba6406f9ea73e7be43730262f7206e5d50d2faa",
    "qgemm": "97da25e8c7a2c2ac35f0d3dccab3a81c409359462f5024a4c5d3da8ed9196b40",
    "qlinear_matmul": "7b36299f8b7e0a652ac021a9f0d64928b017260ddcf216c79e7246d4a1e7bcd7",
}
VNNI = {"avx512_vnni", "avx_vnni", "amx_int8"} & {*cpu_model()[1]}


def saved(proto: onnx.ModelProto, folder: Path) -> Path:
    path = folder / "model.onnx"
    onnx.save(proto, str(path))
    return path


def answers(path: Path, x: Any, saturating: bool) -> np.ndarray[Any, Any]:
    model = fused(path)
    return Interpreter(model).run({model.graph.input[0].name: x}, Arithmetic(saturating))


def small(kind: str = "pictures", **params: Any) -> onnx.ModelProto:
    data = tiny.pictures() if kind == "pictures" else tiny.numbers()
    return quantize.apply(Graph(tiny.exported(kind)), data, quantize.Params(**params)).model.proto


@pytest.mark.parametrize("name", LAYERS)
def test_saturating_layers_answer_as_avx2_does(name: str, tmp_path: Path) -> None:
    proto, x = LAYERS[name]()
    found = answers(saved(proto, tmp_path), x, saturating=True)
    assert hashlib.sha256(found.tobytes()).hexdigest() == RECORDED[name]


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.skipif(not VNNI, reason="this processor has no VNNI: its own sums saturate")
def test_exact_layers_answer_as_this_processor_does(name: str, tmp_path: Path) -> None:
    proto, x = LAYERS[name]()
    path = saved(proto, tmp_path)
    here = ort.InferenceSession(str(path)).run(None, {"x": x})[0]
    assert np.array_equal(answers(path, x, saturating=False), here)


@pytest.mark.parametrize("build", [lambda: conv(5, 6, most=64), lambda: matmul(33, 8, most=64, op="QGemm")])
def test_nothing_saturates_with_7_bit_weights(build: Any, tmp_path: Path) -> None:
    proto, x = build()
    path = saved(proto, tmp_path)
    assert np.array_equal(answers(path, x, True), answers(path, x, False))
    found = portability.judge(path, Split({"x": x}, np.zeros(len(x), np.int64)), 1, False)
    assert found is not None and found.verdict == "portable by proof"
    assert found.rows == 0 and found.disagreement is None and "leave 16 bits" in found.sentence


@pytest.mark.parametrize(("kind", "scheme"), [("pictures", "static"), ("numbers", "static"), ("numbers", "dynamic")])
def test_a_planted_file_is_found_and_a_reduced_range_is_not(kind: str, scheme: str, tmp_path: Path) -> None:
    val = (tiny.pictures() if kind == "pictures" else tiny.numbers()).split("val")
    path = saved(planted(small(kind, scheme=scheme)), tmp_path)
    bad = portability.judge(path, val, 1000, scheme == "dynamic")
    assert bad is not None and bad.verdict == "differs"
    assert bad.disagreement is not None and bad.logits_difference is not None and bad.logits_difference > 0.1
    assert bad.sums_clipped and {*bad.sums_clipped} <= {*bad.layers_at_risk}
    assert "reduce_range: true" in bad.sentence and f"of {bad.rows} rows" in bad.sentence
    good = portability.judge(saved(small(kind, scheme=scheme, reduce_range=True), tmp_path), val, 1000, False)
    assert good is not None and good.verdict == "portable by proof"


def test_rows_that_get_another_class_are_counted(tmp_path: Path) -> None:
    proto, x = matmul(64, 24, op="QGemm", rows=40)
    path = saved(proto, tmp_path)
    found = portability.judge(path, Split({"x": x}, np.zeros(len(x), np.int64)), 1, False)
    classes = [answers(path, x, how).argmax(axis=1) for how in (False, True)]
    assert found is not None and found.disagreement == np.mean(classes[0] != classes[1]) > 0.1
    assert found.sums_clipped["product"] == (answers(path, x, False) != answers(path, x, True)).sum()


def test_a_float_file_has_nothing_to_judge(tmp_path: Path) -> None:
    assert portability.judge(saved(tiny.exported(), tmp_path), tiny.pictures().split("val"), 1, False) is None


def test_what_cannot_be_emulated_is_said_not_to_be_judged(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(4, 32)).astype(np.float32)
    packed = {"w": np.zeros((8, 1, 32), np.uint8), "s": np.ones(8, np.float32)}
    sizes = {"K": 32, "N": 8, "bits": 8, "block_size": 32, "accuracy_level": 4}
    node = helper.make_node("MatMulNBits", ["x", "w", "s"], ["logits"], name="n", domain="com.microsoft", **sizes)
    path = saved(graph([node], packed, x, TensorProto.FLOAT), tmp_path)
    found = portability.judge(path, Split({"x": x}, np.zeros(4, np.int64)), 1, False)
    assert found is not None and found.verdict == "not judged"
    assert "not judged: MatMulNBits 'n'" in found.sentence and found.disagreement is None
    assert "arithmetic: float32" in found.sentence


def test_branches_are_followed(tmp_path: Path) -> None:
    """An If whose branch holds an integer layer, as an early exit's does."""
    (inner, x), wide = matmul(32, 6, op="QGemm"), TensorProto.FLOAT
    branch = helper.make_graph(
        list(inner.graph.node), "b", [], [helper.make_tensor_value_info("logits", wide, None)], inner.graph.initializer
    )
    other = helper.make_graph(
        [helper.make_node("ConstantOfShape", ["size"], ["none"])],
        "o",
        [],
        [helper.make_tensor_value_info("none", wide, None)],
        [numpy_helper.from_array(np.array([len(x), 6]), "size")],
    )
    node = helper.make_node("If", ["yes"], ["logits"], name="if", then_branch=branch, else_branch=other)
    cast = helper.make_node("Cast", ["one"], ["yes"], to=TensorProto.BOOL)
    reduce = helper.make_node("ReduceMax", ["wide"], ["one"], keepdims=0)
    first = helper.make_node("Cast", ["x"], ["wide"], to=TensorProto.INT32)
    path = saved(graph([first, reduce, cast, node], {}, x, wide), tmp_path)
    found = answers(path, x, True)
    (tmp_path / "inner").mkdir()
    assert np.array_equal(found, answers(saved(inner, tmp_path / "inner"), x, True))
    judged = portability.judge(path, Split({"x": x}, np.zeros(len(x), np.int64)), 1, False)
    assert judged is not None and judged.layers == 1 and judged.verdict == "differs"


def test_the_sample_is_spread_and_the_record_repeats(tmp_path: Path) -> None:
    val = tiny.pictures().split("val")
    picked = portability.sample(val, 5)
    assert np.array_equal(picked.labels, val.labels[[0, 15, 31, 47, 63]])
    path = saved(planted(small()), tmp_path)
    assert portability.judge(path, val, 10**9, False) == portability.judge(path, val, 10**9, False)
    found = portability.judge(path, val, 10**9, False)
    assert found is not None and found.rows == portability.FEWEST
