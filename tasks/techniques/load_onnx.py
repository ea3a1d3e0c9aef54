"""Start from an ONNX file that was made elsewhere.

Use when all there is of a network is its ONNX file: `model: {arch: none}`, one row `from: data` with this technique,
and below it techniques that take ONNX, such as `quantize`. It is then the reference, the file's answers unchanged.
Changes the graph around the network only: its opset; the input gets the data's name and takes raw rows, with a cast and
the data block's (x - mean) / std in front where the graph wants floats, and a transpose where it wants channels last;
any number of rows; one output, `logits`, a final softmax taken off. The result is run against the file, row by row.
Custom operators and weights in other files are refused.
Costs no training: the reading of a file and that comparison. Size and latency are the file's, but for the nodes put
around it.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from tasks.core.contract import Params as Base

if TYPE_CHECKING:
    from tasks.core.contract import Data, Outcome

TAKES = "data"
GIVES = "onnx"


class Params(Base):
    """Which file, and what of it."""

    path: str = Field(min_length=1, description="an .onnx file, from the project's root")
    sha256: str | None = Field(
        None, pattern="^[0-9a-f]{64}$", description="of the file; pins it, since DVC does not watch it"
    )
    output: str | None = Field(None, description="which output has one number a class; null: the only one")
    normalise: bool = Field(
        True, description="a graph of floats gets the data block's (x - mean) / std; false: it gets 0..255 as they are"
    )


def apply(parent: None, data: Data, params: Params) -> Outcome:
    """The file's graph, fitted to the data. Raises TechniqueError when it cannot be, or would answer otherwise."""
    from tasks.core.adopt import adopt
    from tasks.core.contract import Graph, Outcome
    from tasks.core.graph_file import at_opset, read
    from tasks.core.pinned import pinned

    path = Path(params.path)
    digest = pinned(path, params.sha256, "load_onnx")
    given = read(path)
    proto, facts = adopt(
        at_opset(copy.deepcopy(given), path), given, data, output=params.output, normalise=params.normalise
    )
    return Outcome(Graph(proto), {"sha256": digest, **facts})
