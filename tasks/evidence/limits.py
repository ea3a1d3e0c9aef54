"""The machine's own limit: the best rate of a matrix product in FP32, BF16 and INT8, by whichever library is best.

`python -m tasks.evidence.limits THREADS` prints it, from a process of its own: torch takes seconds to load and settles
its threads once. A multiply-accumulate is one MAC. ONNX Runtime has no BF16 product for x86, so that there torch sets
that limit; it multiplies BF16 on any processor, slowly where there are no instructions for it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

SIZES = (256, 512, 1024)
REPEATS = 12
PATIENCE_S = 0.5  # a product without instructions of its own takes seconds, and no repeat makes it the limit
ARITHMETIC = ("fp32", "bf16", "int8")


class Product(NamedTuple):
    """One way to multiply two square matrices."""

    arithmetic: str
    library: str
    size: int
    call: Callable[[], object]


def main(threads: str) -> None:
    """Print {gmacs_per_s: {arithmetic: rate}, reached_by: {arithmetic: library}}."""
    rates: dict[str, float] = {}
    libraries: dict[str, str] = {}
    for product in products(int(threads)):
        rate = product.size**3 / best_s(product.call) / 1e9
        if rate > rates.get(product.arithmetic, 0.0):
            rates[product.arithmetic], libraries[product.arithmetic] = round(rate, 2), product.library
    print(json.dumps({"gmacs_per_s": rates, "reached_by": libraries}))


def best_s(call: Callable[[], object]) -> float:
    """The shortest of some calls, in seconds: a limit is what is possible, not what is usual."""
    times: list[float] = []
    while len(times) < REPEATS and sum(times) < PATIENCE_S:
        start = perf_counter()
        call()
        times.append(perf_counter() - start)
    return min(times)


def products(threads: int) -> Iterator[Product]:
    """Every way that there is here, at every size."""
    import torch

    torch.set_num_threads(threads)
    integers = np.random.default_rng(0)
    for size in SIZES:
        for arithmetic in ("fp32", "int8"):
            yield Product(arithmetic, "onnxruntime", size, _session(arithmetic, size, threads))
        wide = torch.ones(size, size)
        yield Product("fp32", "torch", size, lambda wide=wide: wide @ wide)  # type: ignore[misc]
        half = wide.bfloat16()
        yield Product("bf16", "torch", size, lambda half=half: half @ half)  # type: ignore[misc]
        small = torch.from_numpy(integers.integers(-100, 100, (size, size), dtype=np.int8))
        yield Product("int8", "torch", size, lambda small=small: torch._int_mm(small, small))  # type: ignore[misc]


def _session(arithmetic: str, size: int, threads: int) -> Callable[[], object]:
    import onnx
    import onnxruntime as ort
    from onnx import TensorProto, helper, numpy_helper

    op, left, right, out, kinds = {
        "fp32": ("MatMul", np.float32, np.float32, TensorProto.FLOAT, TensorProto.FLOAT),
        "int8": ("MatMulInteger", np.uint8, np.int8, TensorProto.INT32, TensorProto.UINT8),
    }[arithmetic]
    weight = numpy_helper.from_array(np.ones((size, size), right), "w")
    inputs = [helper.make_tensor_value_info("x", kinds, (size, size))]
    outputs = [helper.make_tensor_value_info("y", out, (size, size))]
    graph = helper.make_graph([helper.make_node(op, ["x", "w"], ["y"])], "product", inputs, outputs, [weight])
    model: Any = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    assert isinstance(model, onnx.ModelProto)
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    rows = {"x": np.ones((size, size), left)}
    return lambda: session.run(None, rows)


if __name__ == "__main__":
    main(*sys.argv[1:])
