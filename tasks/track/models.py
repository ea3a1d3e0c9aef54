"""ONNX models in MLflow: logged once with the signature of their graph, and found again."""

from __future__ import annotations

from importlib.metadata import version as installed
from typing import Any

from tasks.track.evidence import Row
from tasks.track.store import search_finished

REQUIREMENTS = ("mlflow", "numpy", "onnx", "onnxruntime")


def logged_model(client: Any, identity: dict[str, str]) -> str | None:
    """The URI of the model that a finished run with the same identity tags logged, if it is still there."""
    from mlflow.exceptions import MlflowException

    for earlier in search_finished(client, identity):
        uri: str = earlier.data.tags.get("model_uri", "")
        try:
            client.get_logged_model(uri.removeprefix("models:/"))
        except MlflowException:  # deleted since, or that run never got so far
            continue
        return uri
    return None


def log_model(row: Row) -> str:
    """Log the ONNX model with a signature read from the graph itself; its URI."""
    import mlflow
    from mlflow.models import ModelSignature
    from mlflow.types import Schema
    from onnx import load

    proto = load(str(row.model))
    schemas = (Schema([_tensor(value) for value in values]) for values in (proto.graph.input, proto.graph.output))
    info = mlflow.onnx.log_model(
        proto,
        name=row.name,
        signature=ModelSignature(*schemas),
        onnx_execution_providers=["CPUExecutionProvider"],
        pip_requirements=[f"{name}=={installed(name)}" for name in REQUIREMENTS],
        save_as_external_data=False,
        params=row.params(),
    )
    return str(info.model_uri)


def _tensor(value: Any) -> Any:
    """The MLflow form of one input or output of a graph; a named dimension, as the batch, is -1."""
    from mlflow.types import TensorSpec
    from onnx.helper import tensor_dtype_to_np_dtype

    tensor = value.type.tensor_type
    shape = [d.dim_value if d.HasField("dim_value") else -1 for d in tensor.shape.dim]
    return TensorSpec(tensor_dtype_to_np_dtype(tensor.elem_type), shape, value.name)
