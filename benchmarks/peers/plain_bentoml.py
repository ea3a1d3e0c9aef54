"""BentoML and ONNX Runtime as BentoML's documentation has it.

NETWORK=model.onnx python -m bentoml serve benchmarks.peers.plain_bentoml:Plain --port 8000
"""

import os
from typing import Any

import bentoml
import numpy as np
import onnxruntime as ort

LABELS = [f"class {i}" for i in range(10)]


@bentoml.service(name="plain", logging={"access": {"enabled": False}})
class Plain:
    """One model, one endpoint."""

    def __init__(self) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.session = ort.InferenceSession(os.environ["NETWORK"], options, providers=["CPUExecutionProvider"])

    @bentoml.api
    def predict(self, inputs: np.ndarray, user_id: str = "") -> dict[str, Any]:  # type: ignore[type-arg]
        """Labels and probabilities (N, 10)."""
        (logits,) = self.session.run(["logits"], {"images": inputs.astype(np.uint8)})
        powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
        shares = powers / powers.sum(axis=-1, keepdims=True)
        return {"labels": [LABELS[i] for i in shares.argmax(-1)], "probabilities": shares.tolist()}
