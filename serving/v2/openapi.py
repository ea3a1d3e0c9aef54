"""The Open Inference Protocol's paths in the OpenAPI document: the protocol's own schema, with this model's names."""

from __future__ import annotations

from math import prod
from typing import Any

from serving.ask import USER_ID_MAX
from serving.package import ROLES, Package
from serving.v2.model import MODEL, OUTPUTS, model
from serving.v2.request import LENGTH
from serving.v2.tensor import BYTES, DTYPES

Json = dict[str, Any]


def paths(package: Package, headers: list[Json], refusals: Json) -> Json:
    """Path to its operations; `headers` and `refusals` are those of /predict."""
    length: Json = {
        "name": LENGTH,
        "in": "header",
        "description": "of a body with bytes behind its JSON: how long the JSON is",
        "schema": {"type": "integer", "minimum": 0},
    }
    own = [length, *headers]
    found: Json = {
        "/v2": {"get": _get("The server.")},
        "/v2/health/live": {"get": _get("200 while the process lives.")},
        "/v2/health/ready": {"get": _get("200 once both models are loaded and tried.", unready=True)},
    }
    for base in (f"/v2/models/{MODEL}", *(f"/v2/models/{MODEL}/versions/{role}" for role in ROLES)):
        found[base] = {"get": _get("Inputs and outputs.")}
        found[f"{base}/ready"] = {"get": _get("200 when it can answer.", unready=True)}
        found[f"{base}/infer"] = {"post": _infer(package, base, own, refusals)}
    return found


def _infer(package: Package, base: str, headers: list[Json], refusals: Json) -> Json:
    (given,) = model(package)["inputs"]
    whole: Json = {
        "type": "string",
        "format": "binary",
        "description": f"JSON of {LENGTH} bytes, and tensors behind it",
    }
    return {
        "operationId": "infer" + base.removeprefix(f"/v2/models/{MODEL}").replace("/versions/", "_"),
        "description": "The same answers as /predict, in the Open Inference Protocol with its binary tensor extension.",
        "parameters": headers,
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": _body(given), "example": _example(given)},
                "application/octet-stream": {"schema": whole},
            },
        },
        "responses": {"200": _answer(), **refusals},
    }


def _body(given: Json) -> Json:
    """The schema of a request; `given` is the model's input as its metadata say."""
    parameters: Json = {
        "type": "object",
        "properties": {
            "user_id": {"type": "string", "minLength": 1, "maxLength": USER_ID_MAX},
            "binary_data_output": {"type": "boolean"},
        },
    }
    output: Json = {
        "type": "object",
        "required": ["name"],
        "properties": {
            "name": {"type": "string", "enum": list(OUTPUTS)},
            "parameters": {"type": "object", "properties": {"binary_data": {"type": "boolean"}}},
        },
    }
    return {
        "type": "object",
        "required": ["inputs"],
        "properties": {
            "id": {"type": "string", "minLength": 1},
            "inputs": {"type": "array", "minItems": 1, "maxItems": 1, "items": _tensor(given)},
            "outputs": {"type": "array", "items": output},
            "parameters": parameters,
        },
    }


def _tensor(given: Json) -> Json:
    return {
        "type": "object",
        "required": ["name", "shape", "datatype", "data"],
        "properties": {
            "name": {"type": "string", "enum": [given["name"]]},
            "shape": {"type": "array", "items": {"type": "integer", "minimum": 0}},
            "datatype": {"type": "string", "enum": [BYTES] if given["datatype"] == BYTES else list(DTYPES)},
            "data": {"type": "array", "description": "flat or nested, in C order", "items": {}},
        },
    }


def _example(given: Json) -> Json:
    shape = [1 if axis == -1 else axis for axis in given["shape"]]
    data: list[Any] = ["A text of any length."] if given["datatype"] == BYTES else [0] * prod(shape)
    return {"inputs": [{**given, "shape": shape, "data": data}]}


def _answer() -> Json:
    schema: Json = {
        "type": "object",
        "required": ["model_name", "model_version", "outputs"],
        "properties": {
            "model_name": {"type": "string", "enum": [MODEL]},
            "model_version": {"type": "string", "enum": list(ROLES)},
            "id": {"type": "string"},
            "outputs": {"type": "array", "items": {"type": "object", "required": ["name", "shape", "datatype"]}},
        },
    }
    content = {
        "application/json": {"schema": schema},
        "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
    }
    return {"description": "The outputs that were asked for.", "content": content}


def _get(description: str, *, unready: bool = False) -> Json:
    answers: Json = {"200": {"description": description, "content": {"application/json": {}}}}
    if unready:
        answers["503"] = {"description": "Not now.", "content": {"application/json": {}}}
    return {"responses": answers}
