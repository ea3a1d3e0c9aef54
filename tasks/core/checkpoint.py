"""A trainable network on disk: model.json (what to build) and weights.safetensors.

Nothing is pickled, so loading runs no code from the file.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import JsonValue
from torch import Tensor

from tasks.core.artifact import read_json, write_json
from tasks.core.changes import CHANGES, apply_changes
from tasks.core.contract import Data, Network
from tasks.core.errors import ArtifactError, nearest
from tasks.core.frozen import Frozen
from tasks.core.shape import Spec, construct, spec_of

MODEL = "model.json"
WEIGHTS = "weights.safetensors"


class Blueprint(Frozen):
    """model.json: the `model:` block, the structural changes since, and the data the network was made for."""

    arch: dict[str, JsonValue]
    changes: tuple[dict[str, JsonValue], ...]
    spec: Spec


def save(network: Network, data: Data, folder: Path) -> None:
    """Write `network` under `folder`; the same weights give the same bytes."""
    from safetensors.torch import save as serialized

    blueprint = Blueprint(arch=dict(network.arch), changes=tuple(dict(c) for c in network.changes), spec=spec_of(data))
    write_json(folder / MODEL, blueprint)
    state = {name: t.detach().cpu().contiguous().clone() for name, t in network.module.state_dict().items()}
    # Through bytes: safetensors itself writes files that only their owner may read.
    (folder / WEIGHTS).write_bytes(serialized(state, metadata={"format": "pt"}))


def load(folder: Path, data: Data | None = None) -> Network:
    """The network that `save` wrote, on the processor and in eval mode.

    Raises ArtifactError when a file is missing or damaged, when model.json and the weights do not belong together, or
    when `data` is given and is not of the kind the network was made for.
    """
    blueprint = read_json(folder / MODEL, Blueprint)
    if data is not None and blueprint.spec != spec_of(data):
        raise ArtifactError(
            f"{folder / MODEL}: made for other data ({blueprint.spec!r}, now {spec_of(data)!r}); run again"
        )
    network = _untrained(blueprint, folder / MODEL)
    state = _read_weights(folder / WEIGHTS)
    misfits = differences({k: tuple(t.shape) for k, t in network.module.state_dict().items()}, state)
    if misfits:
        raise ArtifactError(f"{folder / WEIGHTS}: does not fit {MODEL}: " + "; ".join(misfits[:5]))
    network.module.load_state_dict(state)
    return network


def _untrained(blueprint: Blueprint, path: Path) -> Network:
    """The network of model.json with its changes, still without weights."""
    for change in blueprint.changes:
        name = change.get("change")
        if name not in CHANGES:
            raise ArtifactError(f"{path}: unknown change {name!r}; known: {sorted(CHANGES)}{nearest(name, CHANGES)}")
    try:
        return apply_changes(construct(blueprint.arch, blueprint.spec), blueprint.changes)
    except (ModuleNotFoundError, TypeError, AttributeError, KeyError) as e:
        raise ArtifactError(f"{path}: {blueprint.arch} cannot be built: {e}; run again") from e


def _read_weights(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(str(path))
    except FileNotFoundError:
        raise ArtifactError(f"{path}: not there yet; `stillroom run` makes it") from None
    except SafetensorError as e:
        raise ArtifactError(f"{path}: damaged ({e}); run again") from None


def differences(expected: dict[str, tuple[int, ...]], found: dict[str, Tensor]) -> list[str]:
    """What keeps `found` from being the tensors of these names and shapes, one phrase a tensor; empty when it fits."""
    out = []
    for name in [*expected, *(k for k in found if k not in expected)]:
        if name not in found:
            out.append(f"{name} {expected[name]} is missing")
        elif name not in expected:
            out.append(f"{name} {tuple(found[name].shape)} is not in the network")
        elif tuple(found[name].shape) != expected[name]:
            out.append(f"{name} is {tuple(found[name].shape)}, the network has {expected[name]}")
    return out
