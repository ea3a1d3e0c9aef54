"""The few shapes that every module in tasks/ agrees on.

Shapes: N = rows, C = classes. A *form* is how a model can be worked on: `torch` (trainable) or `onnx` (a graph).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, Protocol

from pydantic import JsonValue, WithJsonSchema

from tasks.core.frozen import Frozen
from tasks.core.preprocess import Preprocess

if TYPE_CHECKING:
    import numpy as np
    import onnx
    from torch import nn

Form = Literal["torch", "onnx"]
Start = Literal["torch", "onnx", "data"]
"""What a technique TAKES: a parent of a form, or the data alone, and then its parent is None.

One whose graphs no technique can work on, such as graphs with branches, also says what to do instead, in LAST.
"""
Facts = dict[str, JsonValue]


class Params(Frozen):
    """Base of a technique's parameter block."""


@dataclass(frozen=True)
class ModelMarker:
    """Marks a parameter that holds a `model:` block; see ModelChoice."""


MODEL_SCHEMA: dict[str, JsonValue] = {"type": "object", "$comment": "a model block"}
ModelChoice = Annotated[dict[str, JsonValue], ModelMarker(), WithJsonSchema(MODEL_SCHEMA)]
"""A `model:` block, such as {arch: small_cnn, width: 8}, as a field of a technique's Params.

The plan checks it as it checks its own `model:`: `arch` is a file of tasks/models/, the rest its own parameters.
"""


class Rows(Protocol):
    """An array of N rows that need not be in memory: numpy, a memory map, or rows decoded when asked for."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, *row)."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """The element type."""

    def __len__(self) -> int:
        """N."""

    def __getitem__(self, rows: Any) -> np.ndarray[Any, Any]:
        """The rows of a slice or an integer array, as a numpy array (n, *row)."""


@dataclass(frozen=True)
class Split:
    """One split: named inputs (N, *row), `labels` (N,) int64 class ids, and an optional group id a row (N,) int64."""

    inputs: Mapping[str, Rows]
    labels: np.ndarray[Any, Any]
    groups: np.ndarray[Any, Any] | None = None

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Data:
    """A data set. A source may leave `calibration`, `val` and `test` out: `prepare` carves them out of `train`.

    `files`: what else serving needs to make the network's input, by plain file name, such as a tokenizer.
    Techniques and `choose` look at `val`; only `evaluate` and the gates of promotion look at `test`.
    """

    train: Split
    classes: Sequence[str]
    preprocess: Preprocess
    calibration: Split | None = None
    val: Split | None = None
    test: Split | None = None
    group_names: Sequence[str] = field(default=())
    files: Mapping[str, bytes] = field(default_factory=dict)

    def split(self, name: str) -> Split:
        """The split called `name`; an AssertionError when `prepare` has not made it yet."""
        found = getattr(self, name)
        assert isinstance(found, Split), f"split {name!r} is not prepared"
        return found


@dataclass(frozen=True)
class Network:
    """A trainable model (form `torch`): the module, the `model:` block that built it, and what was changed since."""

    module: nn.Module
    arch: Mapping[str, JsonValue]
    changes: tuple[Mapping[str, JsonValue], ...] = ()

    def with_change(self, change: Mapping[str, JsonValue]) -> Network:
        """The same network with one more structural change on record."""
        return replace(self, changes=(*self.changes, change))


@dataclass(frozen=True)
class Graph:
    """An ONNX model (form `onnx`)."""

    proto: onnx.ModelProto


class Outcome(NamedTuple):
    """What a technique returns: a new model, the facts for its card, and further files for its folder, by name."""

    model: Network | Graph
    facts: Facts
    files: Mapping[str, bytes] = {}


class Card(Frozen):
    """artifacts/<name>/card.json: where a variant came from and what was done to it."""

    variant: str
    parent: str
    technique: str
    form: Form
    params: dict[str, JsonValue]
    facts: dict[str, JsonValue]
