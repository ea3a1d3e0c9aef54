"""Both models in one process: loaded, tried once, and answering."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnxruntime as ort

from serving import metrics
from serving.cache import Cache
from serving.inputs import Inputs
from serving.pace import Pace
from serving.package import ROLES, Package, PackageError, Role
from serving.text import Tokens

Array = np.ndarray[Any, Any]


def probabilities(logits: Array) -> Array:
    """Softmax over the last axis, (N, C), without overflow."""
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=-1, keepdims=True))


@dataclass(frozen=True)
class Model:
    """One loaded model."""

    name: str
    session: ort.InferenceSession

    def logits(self, inputs: Inputs) -> Array:
        """(N, C) for every input's rows (N, *row)."""
        (logits,) = self.session.run(["logits"], dict(inputs))
        return np.asarray(logits)


class Engine:
    """The models of a package, by role. Made off the way of requests, and ready to answer once it is made."""

    def __init__(self, package: Package) -> None:
        self.package = package
        names = tuple(package.preprocess.inputs)
        self.tokens = Tokens(package) if package.preprocess.kind == "text" else None
        if len(names) != 1 and self.tokens is None:
            raise PackageError(
                f"{package.folder / 'preprocess.json'}: the network takes {len(names)} inputs ({', '.join(names)});"
                " this service feeds exactly one"
            )
        self._models = {role: load(package, role) for role in ROLES}
        self.pace = Pace()
        self.cache = Cache(package.rollout.cache.entries)

    def infer(self, role: Role, inputs: Inputs) -> Array:
        """The probabilities (N, C) that the model that plays `role` gives to N rows."""
        start = time.perf_counter()
        logits = self._models[role].logits(inputs)
        seconds = time.perf_counter() - start
        self.pace.measured(role, len(logits), seconds)
        of = metrics.of(role)
        of.network.observe(seconds)
        of.rows.inc(len(logits))
        return probabilities(logits)


def load(package: Package, role: Role) -> Model:
    """A model from its verified bytes, after it has answered one row: the first call is the slow one.

    PackageError when ONNX Runtime cannot load it, or when it is not the network that the package describes.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = package.rollout.threads
    options.inter_op_num_threads = 1
    # Idle threads that spin between requests take the processor from the other model and the other workers.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    where = package.folder / f"{role}.onnx"
    try:
        session = ort.InferenceSession(package.model(role), options, providers=["CPUExecutionProvider"])
    except Exception as e:  # ONNX Runtime's own exceptions share no other base
        raise PackageError(f"{where}: ONNX Runtime cannot load it: {e}") from e
    wanted = package.preprocess.inputs
    found = [given.name for given in session.get_inputs()]
    if sorted(found) != sorted(wanted):
        raise PackageError(f"{where}: takes {found}; preprocess.json says {list(wanted)}")
    model = Model(package.name(role), session)
    # Ones: a text of nothing but padding is one that no client can send.
    first = {name: np.ones((1, *given.shape), given.dtype) for name, given in wanted.items()}
    classes = model.logits(first).shape[-1]
    if classes != len(package.labels):
        raise PackageError(f"{where}: gives {classes} classes; labels.json has {len(package.labels)}")
    return model
