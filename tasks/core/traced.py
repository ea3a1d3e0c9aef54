"""A network as a graph of ATen operators with batch normalisation folded in, and questions to ask of its nodes."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx import GraphModule, Node
from torch.nn.utils.fusion import fuse_conv_bn_weights

from tasks.core.contract import Data, Network
from tasks.core.errors import TechniqueError
from tasks.core.quiet import quiet
from tasks.core.shape import example, spec_of

A = torch.ops.aten
CONVS = (A.conv1d.default, A.conv2d.default, A.conv1d.padding, A.conv2d.padding)
LINEAR = A.linear.default
NO_KERNEL = (A.conv_transpose1d.default, A.conv_transpose2d.input, A.conv3d.default)
PRODUCTS = (A.matmul.default, A.bmm.default, A.scaled_dot_product_attention.default)
RECTIFIERS = tuple(getattr(A, name).default for name in ("relu", "relu_", "relu6", "hardtanh", "hardtanh_", "clamp"))
PAIRS = (A.add.Tensor, A.add_.Tensor, A.mul.Tensor, A.mul_.Tensor)
MEANS = (A.adaptive_avg_pool2d.default,)
PASSING = (A.max_pool2d.default, A.flatten.using_ints, A.view.default, A.reshape.default)
NORM = A.batch_norm.default


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
            graph = program.module(check_guards=False)
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
        fused = fuse_conv_bn_weights(weight, bias, mean, var, norm.args[7], gamma, beta)
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


def layer_name(node: Node) -> str:
    """The layer whose weight a node multiplies by, or an empty string."""
    if node.target not in (*CONVS, LINEAR, *NO_KERNEL) or node.args[1].op != "get_attr":  # type: ignore[union-attr]
        return ""
    return str(node.args[1].target).removesuffix(".weight")  # type: ignore[union-attr]


def upstream(graph: GraphModule, prefix: str) -> set[Node]:
    """The nodes that take a constant whose name begins with `prefix`, and all that they are computed from."""
    queue = [n for c in graph.graph.nodes if c.op == "get_attr" and str(c.target).startswith(prefix) for n in c.users]
    found: set[Node] = set()
    while queue:
        node = queue.pop()
        if node not in found:
            found.add(node)
            queue += node.all_input_nodes
    return found


def tail(node: Node) -> Node:
    """The rectifier that alone follows `node`, or `node` itself."""
    users = list(node.users)
    return users[0] if len(users) == 1 and users[0].target in RECTIFIERS else node


def leads_to_logits(node: Node) -> bool:
    """Whether nothing but the output, and steps without weights, follows `node`."""
    return not any(n.target in (*CONVS, LINEAR, *NO_KERNEL, *PRODUCTS) for n in _followers(node))


def _followers(node: Node) -> Iterator[Node]:
    seen: set[Node] = set()
    queue = list(node.users)
    while queue:
        found = queue.pop()
        if found not in seen:
            seen.add(found)
            queue += found.users
            yield found


def is_activation(arg: object) -> bool:
    """Whether an argument is computed, not a number or a parameter."""
    return isinstance(arg, Node) and arg.op != "get_attr"


def spatial_mean(node: Node) -> bool:
    """Whether a node is the mean of (N, C, H, W) over height and width."""
    axes: Any = node.args[1] if node.target is A.mean.dim else ()
    return sorted(d % 4 for d in axes) == [2, 3]
