"""Where fake quantization goes, so that ONNX Runtime fuses what comes of it: the rules, as a torchao quantizer.

Activations unsigned 8-bit, asymmetric, one scale a tensor; weights signed and symmetric: S8S8 has no fast kernel on
x86. Every input and output of a layer is quantized, the output behind the activation function, which then costs
nothing. What only passes values on (max-pooling, reshaping) shares the scale of its input. What leads to the logits
alone stays float: on 8 bits close classes would tie.
"""

from __future__ import annotations

from collections.abc import Collection
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch.fx import GraphModule, Node
from torchao.quantization.pt2e import (
    FakeQuantize,
    MinMaxObserver,
    MovingAverageMinMaxObserver,
    PerChannelMinMaxObserver,
)
from torchao.quantization.pt2e.quantizer import (
    QuantizationAnnotation,
    QuantizationSpec,
    Quantizer,
    SharedQuantizationSpec,
)

from tasks.core.errors import TechniqueError, nearest
from tasks.core.log_mel import FRONT, IN_FLOAT
from tasks.core.traced import (
    CONVS,
    LINEAR,
    MEANS,
    NO_KERNEL,
    PAIRS,
    PASSING,
    PRODUCTS,
    is_activation,
    layer_name,
    leads_to_logits,
    spatial_mean,
    tail,
    upstream,
)

KEY = "quantization_annotation"


class _Last:
    """Makes an observer forget all but the tensor seen last: a weight's range is what the weight is now."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.reset_min_max_vals()  # type: ignore[attr-defined]
        seen: torch.Tensor = super().forward(x)  # type: ignore[misc]
        return seen


class LastMinMaxObserver(_Last, MinMaxObserver):  # type: ignore[misc]
    """The range of the tensor seen last."""


class LastPerChannelMinMaxObserver(_Last, PerChannelMinMaxObserver):  # type: ignore[misc]
    """The ranges of the tensor seen last, one a channel."""


class OrtQuantizer(Quantizer):  # type: ignore[misc]
    """Marks a traced network; `quantized` and `left` then tell which layers it marked, and why not the others."""

    def __init__(self, *, per_channel: bool, reduce_range: bool, exclude: Collection[str]) -> None:
        super().__init__()
        most = 63 if reduce_range else 127
        observer = LastPerChannelMinMaxObserver if per_channel else LastMinMaxObserver
        self.weight = QuantizationSpec(
            dtype=torch.int8,
            quant_min=-most,
            quant_max=most,
            qscheme=torch.per_channel_symmetric if per_channel else torch.per_tensor_symmetric,
            ch_axis=0 if per_channel else None,
            # Not the fused kind: its weights' scale is not the one that is exported.
            observer_or_fake_quant_ctr=FakeQuantize.with_args(observer=observer),
        )
        self.activation = QuantizationSpec(
            dtype=torch.uint8,
            quant_min=0,
            quant_max=255,
            qscheme=torch.per_tensor_affine,
            observer_or_fake_quant_ctr=FakeQuantize.with_args(
                observer=MovingAverageMinMaxObserver, averaging_constant=0.05
            ),
        )
        self.exclude = tuple(exclude)
        self.quantized: list[str] = []
        self.left: dict[str, str] = {}

    def annotate(self, model: GraphModule) -> GraphModule:
        """Mark the nodes of `model`, in place. Raises TechniqueError for a pattern that matches no layer."""
        names = [name for name in map(layer_name, model.graph.nodes) if name]
        for pattern in self.exclude:
            if not any(fnmatchcase(name, pattern) for name in names):
                there = f"the layers are {', '.join(names)}{nearest(pattern, names)}"
                raise TechniqueError(f"qat: exclude {pattern!r} matches no layer; {there}")
        front = upstream(model, FRONT)
        self.left |= {layer_name(node): IN_FLOAT for node in front if layer_name(node)}
        for node in (n for n in model.graph.nodes if n not in front):
            if node.target in (*CONVS, LINEAR, *NO_KERNEL, *PRODUCTS):
                self._layer(node)
            elif node.target in PAIRS and not leads_to_logits(node) and all(map(is_activation, node.args[:2])):
                self._mark(node, node.args[:2])
            elif (node.target in MEANS or spatial_mean(node)) and not leads_to_logits(node):
                self._mark(node, node.args[:1])
            elif node.target in PASSING and KEY in node.args[0].meta and node.args[0].meta[KEY].output_qspec:
                same = SharedQuantizationSpec(node.args[0])
                node.meta[KEY] = QuantizationAnnotation({node.args[0]: same}, same, _annotated=True)
        return model

    def validate(self, model: GraphModule) -> None:
        """Nothing to add: `annotate` raises."""

    def _layer(self, node: Node) -> None:
        name, reason = layer_name(node), self._why_not(node)
        if reason:
            self.left[name or node.name] = reason
            return
        self.quantized.append(name)
        self._mark(node, node.args[:1])
        node.meta[KEY].input_qspec_map[node.args[1]] = self.weight

    def _why_not(self, node: Node) -> str:
        name = layer_name(node)
        if not name:
            return f"{node.name}: a product of two activations"
        if found := [pattern for pattern in self.exclude if fnmatchcase(name, pattern)]:
            return f"excluded by {found[0]!r}"
        if node.target in NO_KERNEL:
            return "ONNX Runtime has no INT8 form of such a convolution"
        rank = node.args[0].meta["val"].dim()  # type: ignore[union-attr]
        if node.target is LINEAR and rank != 2:
            return f"a linear layer over {rank} axes; `quantize` with scheme: dynamic is for those"
        return ""

    def _mark(self, node: Node, inputs: Any) -> None:
        """Quantize what goes into `node` and, behind its rectifier, what comes out."""
        last = tail(node)
        # A matrix product has an INT8 kernel with a float result; a convolution has not.
        float_out = node.target is LINEAR and leads_to_logits(last)
        node.meta[KEY] = QuantizationAnnotation(dict.fromkeys(inputs, self.activation), _annotated=True)
        if not float_out:
            last.meta.setdefault(KEY, QuantizationAnnotation(_annotated=True)).output_qspec = self.activation
