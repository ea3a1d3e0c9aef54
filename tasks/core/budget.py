"""What a sub-network costs, in the unit of a budget: a share of the whole network's latency or work, or kilobytes.

Latency is measured; work is counted; size is an upper bound that comes within a few hundred bytes of the file.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from tasks.core.contract import Data, Network
from tasks.core.export import export
from tasks.core.extract import cut_out
from tasks.core.latency import Race
from tasks.core.shape import count_macs, example, spec_of
from tasks.core.supernet import Config, Space

Cost = Callable[[Config], float]
ROUNDS, ROUNDS_TO_CONFIRM = 15, 60


def cost_functions(budget: str, network: Network, data: Data, space: Space, batch: int) -> tuple[Cost, Cost]:
    """A function from a sub-network to its cost in the unit of `budget`, and one that takes longer to be surer."""
    if budget == "latency_ratio":
        return _latency(network, data, space, batch)
    counted = {"macs_ratio": _macs, "size_kb": _size}[budget](network, data, space)
    return counted, counted


def _macs(network: Network, data: Data, space: Space) -> Cost:
    inputs = example(spec_of(data), 1)
    whole = count_macs(network.module, inputs)
    return lambda config: count_macs(cut_out(network, space, config).module, inputs) / whole


def _size(network: Network, data: Data, space: Space) -> Cost:
    # What the file holds beside the weights of layers (nodes, names, folded norms) only shrinks with the network.
    rest = len(export(network, data).SerializeToString()) - weight_bytes(network.module)
    return lambda config: (rest + weight_bytes(cut_out(network, space, config).module)) / 1000


def weight_bytes(module: nn.Module) -> int:
    """Bytes of the float32 weights and biases of the Conv2d and Linear layers; norms are folded into them on export."""
    layers = [m for m in module.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    return 4 * sum(p.numel() for layer in layers for p in layer.parameters(recurse=False))


def _latency(network: Network, data: Data, space: Space, batch: int) -> tuple[Cost, Cost]:
    """The ratio to the whole network's latency; and, after more rounds, the upper end of its interval of 95 %."""
    race = Race(network, data, batch)

    def quick(config: Config) -> float:
        return 1.0 if config == space.greatest() else race.run(cut_out(network, space, config), ROUNDS).ratio.value

    def surer(config: Config) -> float:
        return race.run(cut_out(network, space, config), ROUNDS_TO_CONFIRM).ratio.high

    return quick, surer
