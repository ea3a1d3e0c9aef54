"""What the weights of a `slim` row were trained to serve, as its last change of structure records it."""

from __future__ import annotations

from typing import Literal

from pydantic import JsonValue

from tasks.core.contract import Data, Network
from tasks.core.errors import TechniqueError
from tasks.core.frozen import Frozen
from tasks.core.shape import example, spec_of
from tasks.core.supernet import Choices, Space, space_of


class Elasticity(Frozen):
    """The change `slim` in model.json: shares of channels and of blocks, sizes of kernels by layer."""

    change: Literal["slim"] = "slim"
    widths: tuple[float, ...]
    depths: tuple[float, ...]
    kernels: dict[str, tuple[int, ...]]

    def choices(self) -> Choices:
        """The values alone, the greatest first."""
        widths, depths = (tuple(sorted(set(values), reverse=True)) for values in (self.widths, self.depths))
        sizes = {size for own in self.kernels.values() for size in own}
        return Choices(widths, depths, tuple(sorted(sizes, reverse=True)))

    def space(self, network: Network, data: Data) -> Space:
        """What `network` can shrink to; TechniqueError when it has nothing for a choice to choose from."""
        return space_of(network.module, example(spec_of(data), 2), self.choices(), self.kernels)

    def record(self) -> dict[str, JsonValue]:
        """As model.json keeps it."""
        return self.model_dump(mode="json")


def elasticity_of(network: Network) -> Elasticity:
    """What `network` was trained to serve; TechniqueError when it is no `slim` row or was changed since."""
    last = network.changes[-1] if network.changes else {"change": "nothing"}
    if last["change"] != "slim":
        raise TechniqueError(
            f"the parent must be a row of the technique slim; the last change of its structure is {last['change']!r}"
        )
    return Elasticity.model_validate(last)
