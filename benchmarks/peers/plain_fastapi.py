"""FastAPI and ONNX Runtime without anything of ours: as FastAPI's tutorial has it, lean, and with raw rows.

NETWORK=model.onnx python -m uvicorn benchmarks.peers.plain_fastapi:app --port 8000
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import onnxruntime as ort
import orjson
from fastapi import FastAPI, Request, Response
from pydantic import BaseModel

options = ort.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
session = ort.InferenceSession(os.environ["NETWORK"], options, providers=["CPUExecutionProvider"])
LABELS = [f"class {i}" for i in range(10)]
app = FastAPI()


class Rows(BaseModel):
    """What is asked."""

    inputs: list[list[list[list[int]]]]
    user_id: str | None = None


class Answer(BaseModel):
    """What is answered."""

    labels: list[str]
    probabilities: list[list[float]]


def infer(images: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Probabilities (N, 10)."""
    (logits,) = session.run(["logits"], {"images": images})
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


@app.post("/tutorial")
async def tutorial(rows: Rows) -> Answer:
    """A model for the body and one for the answer, on the event loop."""
    shares = infer(np.array(rows.inputs, np.uint8))
    return Answer(labels=[LABELS[i] for i in shares.argmax(-1)], probabilities=shares.tolist())


@app.post("/tutorial_thread")
def tutorial_thread(rows: Rows) -> Answer:
    """The same in FastAPI's pool of threads."""
    shares = infer(np.array(rows.inputs, np.uint8))
    return Answer(labels=[LABELS[i] for i in shares.argmax(-1)], probabilities=shares.tolist())


@app.post("/lean")
async def lean(request: Request) -> Response:
    """No models, orjson both ways, no check of anything."""
    asked = orjson.loads(await request.body())
    return answered(infer(np.array(asked["inputs"], np.uint8)))


@app.post("/raw")
async def raw(request: Request) -> Response:
    """Rows as they lie in memory, no check of anything."""
    return answered(infer(np.frombuffer(await request.body(), np.uint8).reshape(-1, 1, 28, 28)))


def answered(shares: np.ndarray[Any, Any]) -> Response:
    """As JSON."""
    content = {"labels": [LABELS[i] for i in shares.argmax(-1)], "probabilities": shares}
    return Response(orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY), media_type="application/json")
