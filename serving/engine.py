"""Both models in one process: loaded, tried once, and answering."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnxruntime as ort
import orjson

from serving import metrics
from serving.package import ROLES, Package, PackageError, Role

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

    def logits(self, rows: Array) -> Array:
        """(N, C) for rows (N, *row)."""
        (logits,) = self.session.run(["logits"], {self.session.get_inputs()[0].name: rows})
        return np.asarray(logits)


class Engine:
    """The models of a package, by role. Made once, before the service says that it is ready."""

    def __init__(self, package: Package) -> None:
        self.package = package
        names = tuple(package.preprocess.inputs)
        if len(names) != 1:
            raise PackageError(
                f"{package.folder / 'preprocess.json'}: the network takes {len(names)} inputs ({', '.join(names)});"
                " this service feeds exactly one"
            )
        self._models = {role: self._load(role) for role in ROLES}
        metrics.SHARE.set(package.rollout.treatment_share)
        for role in ROLES:
            metrics.MODEL.labels(role, package.name(role), package.sha256(role)).set(1)

    def answer(self, role: Role, rows: Array) -> bytes:
        """The JSON answer of the model that plays `role` to rows (N, *row)."""
        model = self._models[role]
        start = time.perf_counter()
        logits = model.logits(rows)
        metrics.INFERENCE.labels(role).observe(time.perf_counter() - start)
        shares = probabilities(logits)
        metrics.ROWS.labels(role).inc(len(rows))
        labels = [self.package.labels[i] for i in shares.argmax(axis=-1)]
        answer = {"variant": role, "model": model.name, "labels": labels, "probabilities": shares}
        return orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY)

    def _load(self, role: Role) -> Model:
        """A model from its verified bytes, after it has answered one row: the first call is the slow one."""
        options = ort.SessionOptions()
        options.intra_op_num_threads = self.package.rollout.threads
        options.inter_op_num_threads = 1
        # Idle threads that spin between requests take the processor from the other model and the other workers.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        where = self.package.folder / f"{role}.onnx"
        try:
            session = ort.InferenceSession(self.package.model(role), options, providers=["CPUExecutionProvider"])
        except Exception as e:  # ONNX Runtime's own exceptions share no other base
            raise PackageError(f"{where}: ONNX Runtime cannot load it: {e}") from e
        ((name, wanted),) = self.package.preprocess.inputs.items()
        found = [given.name for given in session.get_inputs()]
        if found != [name]:
            raise PackageError(f"{where}: takes {found}; preprocess.json says [{name!r}]")
        model = Model(self.package.name(role), session)
        classes = model.logits(np.zeros((1, *wanted.shape), wanted.dtype)).shape[-1]
        if classes != len(self.package.labels):
            raise PackageError(f"{where}: gives {classes} classes; labels.json has {len(self.package.labels)}")
        return model
