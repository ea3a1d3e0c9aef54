"""What a row costs a network when rows come together: whether waiting for company (micro-batching) could pay.

    python -m benchmarks.batching > table.md

The networks of the examples, untrained (arithmetic does not depend on the weights), by ONNX Runtime on one thread; the
student that Fashion-MNIST's plan would serve, the one of SST-2, and the MLP of benchmarks/service.py. Processor time,
sizes interleaved in shuffled order; the ratio is to one row alone, in the same round.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import onnxruntime as ort
import torch

from benchmarks.peers import network
from benchmarks.service import interval
from tasks.core.export import to_onnx
from tasks.models import bert, resnet9

SIZES = (1, 2, 4, 8, 16, 32)
ROUNDS = 9
SECONDS = 0.1  # of one size in one round
Inputs = Mapping[str, np.ndarray[Any, Any]]


def networks() -> Iterator[tuple[str, bytes, Inputs]]:
    """Names, ONNX models, and 32 rows for each."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    yield "MLP 784-512-512-10", network.mlp(0), {"images": network.pictures(32)}
    pictures = rng.random((32, 1, 28, 28), np.float32)
    for width in (8, 16):
        net = resnet9.build(shape=(1, 28, 28), classes=10, width=width).eval()
        model = to_onnx(net, (torch.zeros(2, 1, 28, 28),), ["images"], ["logits"])
        yield f"ResNet-9, width {width}", model.SerializeToString(), {"images": pictures}
    tokens = {"input_ids": rng.integers(0, 1000, (32, 64)), "attention_mask": np.ones((32, 64), np.int64)}
    example = (torch.zeros(2, 64, dtype=torch.long), torch.ones(2, 64, dtype=torch.long))
    net = bert.build(shape=(64,), classes=2, vocab=1000, layers=3).eval()
    yield "BERT, 3 layers, 64 tokens", to_onnx(net, example, list(tokens), ["logits"]).SerializeToString(), tokens


def cost_ms(session: ort.InferenceSession, inputs: Inputs) -> float:
    """Processor milliseconds a row."""
    rows = len(next(iter(inputs.values())))
    calls, began, end = 0, time.process_time(), time.process_time() + SECONDS
    while time.process_time() < end:
        session.run(None, dict(inputs))
        calls += 1
    return (time.process_time() - began) / calls / rows * 1000


def main() -> None:
    """Measure, and print."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    print(
        "| network | one row, ms | " + " | ".join(f"{n} rows" for n in SIZES[1:]) + " |\n" + "| --- " * 7 + "|",
        flush=True,
    )
    shuffle = random.Random(0)
    for name, model, inputs in networks():
        session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        taken: dict[int, list[float]] = {n: [] for n in SIZES}
        for _ in range(ROUNDS):
            for n in shuffle.sample(SIZES, len(SIZES)):
                taken[n].append(cost_ms(session, {key: rows[:n] for key, rows in inputs.items()}))
        one = np.array(taken[1])
        ratios = " | ".join(interval(np.array(taken[n]) / one) for n in SIZES[1:])
        print(f"| {name} | {np.median(one):.3f} | {ratios} |", flush=True)


if __name__ == "__main__":
    main()
