"""Training with rounding simulated: a traced network that computes in float what INT8 will answer.

Rounding has no useful gradient, so it is passed straight through, and stopped where a value is clipped: Bengio et al.,
*Estimating or Propagating Gradients Through Stochastic Neurons*, 2013 (arXiv:1308.3432). Batch normalisation is folded
into the layer before it first, so that the weights that are trained and rounded are those that are served (static
folding: Nagel et al., *A White Paper on Neural Network Quantization*, 2021, arXiv:2106.08295, section 4.2).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.fx import GraphModule
from torchao.quantization.pt2e import FakeQuantize
from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_qat_pt2e

from tasks.core.arrays import batches
from tasks.core.contract import Split
from tasks.core.errors import TechniqueError
from tasks.core.ort_quantizer import OrtQuantizer
from tasks.core.quiet import quiet

BATCH = 64


class Trainable(nn.Module):
    """A graph with fake quantization, for the one training loop: `train()` and `eval()` only start and stop observing.

    Ranges of activations follow a moving average for `freeze_at` training steps and stand still afterwards. It computes
    in float32: bfloat16 has as few significant bits as what is simulated.
    """

    def __init__(self, graph: GraphModule, freeze_at: int) -> None:
        super().__init__()
        self.graph, self.freeze_at, self.step = graph, freeze_at, 0

    def train(self, mode: bool = True) -> Trainable:
        """Not passed on to the graph: a traced network has no modes."""
        self.training = mode
        self._observe(mode and self.step < self.freeze_at)
        return self

    def forward(self, *inputs: Tensor) -> Tensor:
        """The logits (N, classes)."""
        if self.training:
            if self.step == self.freeze_at:
                self._observe(False)
            self.step += 1
        try:
            with torch.autocast(inputs[0].device.type, enabled=False):
                out: Tensor = self.graph(*inputs)
        except AssertionError as e:  # torchao's: a range that is not a number
            raise TechniqueError("qat: training diverged; try a smaller lr or a longer warmup") from e
        return out

    def _observe(self, on: bool) -> None:
        for module in activations(self.graph):
            module.enable_observer(on)


def activations(graph: nn.Module) -> list[Any]:
    """The fake quantizers of activations; those of weights always follow the weights."""
    return [m for m in graph.modules() if isinstance(m, FakeQuantize) and m.dtype == torch.uint8]


def prepared(graph: GraphModule, rules: OrtQuantizer, calibration: Split) -> GraphModule:
    """`graph` with fake quantization by `rules`; the ranges are those of the float network on `calibration`.

    Raises TechniqueError when there is no layer to quantize.
    """
    with quiet():
        ready: GraphModule = prepare_qat_pt2e(graph, rules)
    if not rules.quantized:
        reasons = rules.left or "there is no convolution or linear layer"
        raise TechniqueError(f"qat: no layer can be quantized: {reasons}")
    fakes = [m for m in ready.modules() if isinstance(m, FakeQuantize)]
    for module in fakes:
        module.enable_fake_quant(False)
    with torch.no_grad():
        for inputs, _ in batches(calibration, BATCH):
            ready(*(torch.tensor(x) for x in inputs.values()))
    for module in fakes:
        module.enable_fake_quant(True)
    return ready


def converted(trained: Trainable) -> nn.Module:
    """The same with integer weights and QuantizeLinear/DequantizeLinear pairs, to be exported; `trained` is used up."""
    with quiet():
        graph: GraphModule = convert_pt2e(trained.eval().graph)
    # torchao makes these raise; the exporter calls one of them.
    graph.train = graph.eval = lambda *_: graph  # type: ignore[method-assign, assignment]
    return graph
