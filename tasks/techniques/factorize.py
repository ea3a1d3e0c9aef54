"""Factorization: each large layer becomes two thin ones, by truncated singular value decomposition.

Jaderberg et al., *Speeding up Convolutional Neural Networks with Low Rank Expansions*, 2014 (arXiv:1405.3866), for
splitting a kernel into its two axes; Zhang et al., *Accelerating Very Deep Convolutional Networks for Classification
and Detection*, 2015 (arXiv:1505.06798), for splitting it by channels and for ranks by energy; Lan et al., *ALBERT*,
2019 (arXiv:1909.11942), for embeddings. The weights alone decide, not, as with Zhang, the layers' responses to data.

Use when layers are wide: large linear layers and embeddings gain most, a thin convolution nothing.
Changes those Linear, Conv2d and Embedding layers into pairs that get smaller by it. The parent is only read.
Costs an SVD a layer and the epochs of `recover`, which imitates the parent. `ratio: 0.4` gave 0.90 of the latency and
0.79 of the bytes in the zoo (benchmarks/RESULTS.md), for 0.04 points on Fashion-MNIST and 0.41 on CIFAR-10.
"""

from __future__ import annotations

import copy
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field, JsonValue, model_validator

from tasks.core.contract import Params as Base
from tasks.core.errors import TechniqueError, nearest
from tasks.core.recipe import RecoverParams

if TYPE_CHECKING:
    from torch import nn

    from tasks.core.contract import Data, Network, Outcome

TAKES = "torch"
GIVES = "torch"
MEASURES = ("energy", "ratio", "parameters")


class Params(Base):
    """How the rank of every layer is found (one of three ways), and how to recover."""

    energy: float | None = Field(None, gt=0, lt=1, description="share of the squared singular values that is kept")
    ratio: float | None = Field(None, gt=0, lt=1, description="share of the full rank that is kept")
    parameters: float | None = Field(
        None, gt=0, lt=1, description="share of the network's parameters to end with, at most; the same energy a layer"
    )
    split: Literal["spatial", "channel"] = Field(
        "spatial", description="a kxk convolution becomes kx1 and 1xk, or kxk to fewer channels and 1x1"
    )
    round_to: int = Field(8, ge=1, le=1024, description="ranks go up to a multiple of it: fast kernels like 8")
    exclude: tuple[str, ...] = Field((), description="layers to leave alone, by name or pattern, as in `body.4.*`")
    recover: RecoverParams | None = Field(None, description="training that imitates the parent; null: none")

    @model_validator(mode="after")
    def _one_measure(self) -> Self:
        given = [name for name in MEASURES if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"exactly one of {', '.join(MEASURES)}; found {', '.join(given) or 'none'}")
        return self


def apply(parent: Network, data: Data, params: Params) -> Outcome:
    """A copy of `parent` with fewer parameters. Raises TechniqueError when no layer would get smaller."""
    from dataclasses import replace

    from tasks.core.contract import Outcome
    from tasks.core.factors import factored
    from tasks.core.imitate import recover
    from tasks.core.shape import count_macs, count_parameters, example, spec_of

    module = copy.deepcopy(parent.module).eval()
    left = unfit(module, params.exclude)
    layers = {name: layer for name, layer in candidates(module).items() if name not in left}
    ranks, energy = choose_ranks(layers, left, params, count_parameters(module))
    for name, rank in ranks.items():
        module.set_submodule(name, factored(layers[name], rank, params.split))
    change: dict[str, JsonValue] = {"change": "factorize", "split": params.split, "ranks": {**ranks}}
    network, inputs = replace(parent, module=module).with_change(change), example(spec_of(data), 2)
    facts: dict[str, JsonValue] = {
        "parameters_before": count_parameters(parent.module),
        "parameters_after": count_parameters(module),
        "macs_before": count_macs(parent.module, inputs),
        "macs_after": count_macs(module, inputs),
        "layers_changed": [*ranks],
        "layers_left_alone": {**left},
        "ranks": {**ranks},
        "energy_kept": {**energy},
    }
    if params.recover is not None:
        facts |= recover(network, parent, data, params.recover)
    return Outcome(network, facts)


def choose_ranks(
    layers: dict[str, nn.Module], left: dict[str, str], params: Params, total: int
) -> tuple[dict[str, int], dict[str, float]]:
    """{layer: rank} and {layer: energy kept} of the layers to split; why others are not is added to `left`."""
    from tasks.core.ranks import by_budget, by_energy, by_ratio, spectrum

    spectra = {name: spectrum(layer, params.split) for name, layer in layers.items()}
    if params.energy is not None:
        ranks = by_energy(spectra, params.energy, params.round_to)
    elif params.ratio is not None:
        ranks = by_ratio(spectra, params.ratio, params.round_to)
    else:
        assert params.parameters is not None
        ranks = by_budget(spectra, params.parameters, params.round_to, total)
    for name, rank in ranks.items():
        found = spectra[name]
        if found.saved(rank) <= 0:
            left[name] = f"rank {rank} of {len(found.kept)} needs {rank * found.cost} weights, it has {found.weights}"
    ranks = {name: rank for name, rank in ranks.items() if name not in left}
    if not ranks:
        raise TechniqueError(f"factorize: saves no parameters in any layer, so nothing would change: {left}")
    return ranks, {name: round(float(spectra[name].kept[rank - 1]), 6) for name, rank in ranks.items()}


def candidates(module: nn.Module) -> dict[str, nn.Module]:
    """Every Linear, Conv2d and Embedding layer by name."""
    from tasks.core.factors import KINDS

    return {name: m for name, m in module.named_modules() if isinstance(m, KINDS)}


def unfit(module: nn.Module, exclude: tuple[str, ...]) -> dict[str, str]:
    """{layer: why} of the candidates that cannot, or shall not, be split."""
    from torch import nn

    found: dict[str, Any] = candidates(module)
    for pattern in exclude:
        if not any(fnmatchcase(name, pattern) for name in found):
            raise TechniqueError(
                f"factorize: exclude: {pattern!r} fits no layer; there are {[*found]}{nearest(pattern, found)}"
            )
    places = [id(m.weight) for _, m in module.named_modules(remove_duplicate=False) if id(m) in map(id, found.values())]
    left: dict[str, str] = {}
    for name, m in found.items():
        kind, owner = type(m), module.get_submodule(name.rpartition(".")[0])
        if any(fnmatchcase(name, pattern) for pattern in exclude):
            left[name] = "excluded"
        elif kind not in (nn.Linear, nn.Conv2d, nn.Embedding):
            left[name] = f"a {kind.__name__}, not a plain layer"
        elif isinstance(owner, nn.TransformerEncoderLayer | nn.MultiheadAttention):
            left[name] = f"{type(owner).__name__} reads its weight past the layer"
        elif places.count(id(m.weight)) > 1:
            left[name] = "its weight is used in several places"
        elif isinstance(m, nn.Conv2d) and m.groups > 1:
            left[name] = "a convolution in groups"
        elif isinstance(m, nn.Embedding) and m.max_norm is not None:
            left[name] = "an embedding with max_norm"
        elif not m.weight.any():
            left[name] = "all its weights are zero"
    return left
