"""Training with rounding simulated: a traced network that computes in float what INT8 will answer.

Rounding has no useful gradient, so it is passed straight through, and stopped where a value is clipped: Bengio et al.,
*Estimating or Propagating Gradients Through Stochastic Neurons*, 2013 (arXiv:1308.3432). Batch normalisation is folded
into the layer before it first, so that the weights that are trained and rounded are those that are served (static
folding: Nagel et al., *A White Paper on Neural Network Quantization*, 2021, arXiv:2106.08295, section 4.2).
"""

from __future__ import annotations

import operator
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx import GraphModule, Node
from torch.nn.utils.fusion import fuse_conv_bn_weights
from torchao.quantization.pt2e import FakeQuantize
from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_qat_pt2e

from tasks.core.arrays import batches
from tasks.core.contract import Data, Network, Split
from tasks.core.errors import TechniqueError
from tasks.core.ort_quantizer import CONVS, LINEAR, OrtQuantizer
from tasks.core.quiet import quiet
from tasks.core.shape import example, spec_of

A = torch.ops.aten
NORM = A.batch_norm.default
BATCH = 64


def traced(network: Network, data: Data) -> GraphModule:
    """The network in eval mode as a graph of ATen operators with its own copy of the weights; any batch size.

    Raises TechniqueError when PyTorch cannot trace it.
    """
    inputs = example(spec_of(data), 2)
    batch = torch.export.Dim("batch", min=1, max=65536)
    try:
        with quiet():
            program = torch.export.export(
                network.module.eval(), inputs, dynamic_shapes=tuple({0: batch} for _ in inputs)
            )
            graph: GraphModule = program.module(check_guards=False)  # type: ignore[assignment]
    except (RuntimeError, ValueError, TypeError) as e:
        reason = str(e).strip().splitlines()[0]
        raise TechniqueError(f"qat: torch.export cannot trace {network.arch.get('arch')!r}: {reason}") from e
    for name, parameter in list(graph.named_parameters()):
        owner, _, key = name.rpartition(".")
        setattr(graph.get_submodule(owner), key, nn.Parameter(parameter.detach().clone()))
    for node in list(graph.graph.nodes):
        if node.target is A._assert_tensor_metadata.default:  # it holds the device that was traced on
            graph.graph.erase_node(node)
    fold_norms(graph)
    graph.recompile()
    return graph


def fold_norms(graph: GraphModule) -> None:
    """Fold every batch normalisation that alone follows a layer into the layer's weights, in place."""
    for norm in [n for n in graph.graph.nodes if n.target is NORM]:
        layer = norm.args[0]
        if layer.target not in (*CONVS, LINEAR) or len(layer.users) > 1 or layer.args[1].op != "get_attr":
            continue
        gamma, beta, mean, var = (_tensor(graph, arg) for arg in norm.args[1:5])
        bias = _tensor(graph, layer.args[2]) if len(layer.args) > 2 else None
        weight = _tensor(graph, layer.args[1])
        assert mean is not None and var is not None and weight is not None
        fused = fuse_conv_bn_weights(weight, bias, mean, var, norm.args[7], gamma, beta)  # type: ignore[arg-type]
        owner, _, _ = str(layer.args[1].target).rpartition(".")
        module = graph.get_submodule(owner)
        module.weight, module.bias = (nn.Parameter(p.detach().clone()) for p in fused)
        with graph.graph.inserting_before(layer):
            place = graph.graph.get_attr(f"{owner}.bias".lstrip("."))
        place.meta["val"] = module.bias
        layer.args = (*layer.args[:2], place, *layer.args[3:])
        norm.replace_all_uses_with(layer)
        graph.graph.erase_node(norm)
    graph.graph.eliminate_dead_code()
    graph.delete_all_unused_submodules()


def _tensor(graph: GraphModule, arg: Any) -> Tensor | None:
    """The parameter or buffer that a node stands for."""
    if not isinstance(arg, Node):
        return None
    found: Tensor = operator.attrgetter(str(arg.target))(graph)
    return found.detach()


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
        with torch.autocast(inputs[0].device.type, enabled=False):
            out: Tensor = self.graph(*inputs)
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
