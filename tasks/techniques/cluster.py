"""Clustering: every weight of a layer becomes one of K shared values, and the file holds their entropy-coded places.

Han, Mao & Dally, *Deep Compression*, 2015 (arXiv:1510.00149): k-means, training of the centroids, Huffman coding; Duda
2013 (arXiv:1311.2540) for the coding by asymmetric numeral systems, which comes closer to the entropy.

Use when the file must be small to store or to send, and speed does not matter: 256 values usually cost no accuracy.
Changes the values of all tensors of two or more axes, not the layers: `model.onnx` stays as large and as fast as it
was, and `model.srz` beside it, a fraction of it, restores the weights bit for bit. Put it last: training, other than by
`recover`, ends the sharing. The parent is only read.
Costs a k-means a tensor, and training only where `recover` asks for it, each step with a pass of the parent. In the zoo
(benchmarks/RESULTS.md) latency was 0.99 to 1.01 of the parent's, `model.srz` 4 times (256 values) and 8 times (16)
smaller than `model.onnx`.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Literal

from pydantic import Field, JsonValue

from tasks.core.contract import Params as Base
from tasks.core.errors import TechniqueError
from tasks.core.recipe import RecoverParams

if TYPE_CHECKING:
    from torch import Tensor, nn

    from tasks.core.contract import Data, Facts, Network, Outcome
    from tasks.core.srz import Encoded

TAKES = "torch"
GIVES = "torch"
FILE = "model.srz"


class Params(Base):
    """How many values, and how their places are coded."""

    clusters: int = Field(256, ge=2, le=4096, description="shared values a tensor, at most")
    coder: Literal["ans", "huffman"] = Field(
        "ans", description="ans needs the extra `srz`; huffman nothing, for about 1 % more bytes"
    )
    recover: RecoverParams | None = Field(
        None, description="training of the shared values that imitates the parent; null: none"
    )


def apply(parent: Network, data: Data, params: Params) -> Outcome:
    """A copy of `parent` with shared weights, and its file. Raises TechniqueError when no tensor has more values."""
    from dataclasses import replace

    import torch

    from tasks.core import srz
    from tasks.core.contract import Outcome
    from tasks.core.imitate import recover
    from tasks.core.sharing import Codebook, shared

    module = copy.deepcopy(parent.module).eval()
    tensors, left = to_share(module, params.clusters)
    if not tensors:
        raise TechniqueError(f"cluster: no tensor has more than clusters {params.clusters} values: {left}")
    srz.check(params.coder)
    books = {name: Codebook(weight, params.clusters) for name, weight in tensors.items()}
    errors: dict[str, JsonValue] = {}
    for name, book in books.items():
        errors[layer_of(name)] = round(relative_error(tensors[name], book.weight()), 9)
        with torch.no_grad():
            tensors[name].copy_(book.weight())
    network = replace(parent, module=module)
    trained: Facts = {}
    if params.recover is not None:
        with shared(module, books):
            trained = recover(network, parent, data, params.recover)
    encoded = srz.encode({name: t.detach().numpy() for name, t in module.state_dict().items()}, params.coder)
    facts: Facts = {
        "layers_changed": [layer_of(name) for name in books],
        "layers_left_alone": {**left},
        "relative_error": errors,
    }
    return Outcome(network, {**facts, **trained, **sizes(encoded)}, {FILE: encoded.data})


def to_share(module: nn.Module, clusters: int) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors of two or more axes with more than `clusters` distinct values, and why the others are left alone."""
    import torch

    every = dict(module.named_parameters(remove_duplicate=False))
    places = [id(p) for p in every.values()]
    tensors: dict[str, Tensor] = {}
    left: dict[str, str] = {}
    for name, weight in ((n, p) for n, p in every.items() if p.dim() > 1):
        values = len(torch.unique(weight.detach()))
        if places.count(id(weight)) > 1:
            left[layer_of(name)] = "its weight is used in several places"
        elif values <= clusters:
            left[layer_of(name)] = f"it has {values} distinct weights, not more than {clusters}"
        else:
            tensors[name] = weight
    return tensors, left


def layer_of(tensor: str) -> str:
    """How a person knows a tensor: by its layer, where it is the layer's weight."""
    return tensor.removesuffix(".weight")


def relative_error(weight: Tensor, shared: Tensor) -> float:
    """The mean squared difference over the weights' variance; zero when nothing moved."""
    difference = weight.detach().double() - shared.double()
    return float(difference.square().mean() / weight.detach().double().var(correction=0))


def sizes(encoded: Encoded) -> dict[str, JsonValue]:
    """What the file's bytes are, for the card; `index_over_entropy` is the price of coding, 1 at best."""
    return {
        "srz_bytes": len(encoded.data),
        "srz_index_bytes": encoded.index_bytes,
        "srz_entropy_bytes": round(encoded.entropy_bytes),
        "srz_codebook_bytes": encoded.codebook_bytes,
        "srz_plain_bytes": encoded.plain_bytes,
        "index_over_entropy": round(encoded.index_bytes / encoded.entropy_bytes, 6) if encoded.entropy_bytes else 1.0,
        "bits_a_weight": round(8 * encoded.index_bytes / max(1, encoded.coded_values), 4),
    }
