"""The OpenAPI document of one package: what its own rows look like, and every answer there is."""

from __future__ import annotations

from math import prod
from typing import Any

from serving import raw
from serving.openapi_feedback import feedback, ticket_header
from serving.openapi_headers import headers
from serving.package import ROLES, Package
from serving.text import CHARACTERS_MAX, TEXT_KEY
from serving.v2 import openapi as v2

Json = dict[str, Any]
NUMBERS_MAX = 256  # in an example that a person reads
SILENT_WAV = "UklGRigAAABXQVZFZm10IBAAAAABAAEAQB8AAIA+AAACABAAZGF0YQQAAAAAAAAA"  # 2 samples
BLACK_PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR42mNgAAAAAgAB5Sfe/AAAAABJRU5ErkJggg=="  # 1 x 1


def document(package: Package) -> Json:
    """OpenAPI 3.0.3 for /predict, /v2, /feedback, /info and the probes."""
    paths: Json = {
        "/predict": {"post": _predict(package)},
        "/feedback": {"post": feedback(package)},
        "/info": {"get": _get("The models, the split, the limits.", "application/json")},
        "/livez": {"get": _get("200 while the process lives.", "text/plain")},
        "/readyz": {"get": _get("200 once both models are loaded and tried.", "text/plain")},
        "/metrics": {"get": _get("Prometheus metrics.", "text/plain")},
        **v2.paths(package, headers(package)[:2], _refusals(package)),
    }
    title = f"Stillroom: {package.name('control')} and {package.name('treatment')}"
    return {"openapi": "3.0.3", "info": {"title": title, "version": package.sha256("treatment")[:12]}, "paths": paths}


def example(package: Package) -> Json:
    """A request body that is answered: one row of zeros, or a black picture where that would be too long to read."""
    if package.preprocess.kind == "text":
        return {"inputs": [{TEXT_KEY: "A text of any length."}], "user_id": "u1"}
    (wanted,) = package.preprocess.inputs.values()
    if package.preprocess.kind == "audio":
        return {"inputs": [{"audio_base64": SILENT_WAV}], "user_id": "u1"}
    if package.preprocess.kind == "image" and prod(wanted.shape) > NUMBERS_MAX:
        return {"inputs": [{"image_base64": BLACK_PNG}], "user_id": "u1"}
    row: Any = 0 if wanted.dtype.startswith(("int", "uint")) else 0.0
    for length in reversed(wanted.shape):
        row = [row] * length
    return {"inputs": [row], "user_id": "u1"}


def _predict(package: Package) -> Json:
    limits = package.rollout.limits
    rows = _text_rows() if package.preprocess.kind == "text" else _array_rows(package)
    user: Json = {
        "type": "string",
        "minLength": 1,
        "maxLength": 256,
        "nullable": True,
        "description": "the same user always gets the same variant; without one the control answers",
    }
    inputs: Json = {"type": "array", "minItems": 1, "maxItems": limits.rows, "items": {"anyOf": rows}}
    body = _object({"inputs": inputs, "user_id": user}, ["inputs"])
    content: Json = {"application/json": {"schema": body, "example": example(package)}}
    if package.preprocess.kind != "text":
        content[raw.MEDIA_TYPE] = {"schema": {"type": "string", "format": "binary"}}
    return {
        "operationId": "predict",
        "description": f"Classify 1 to {limits.rows} rows.",
        "parameters": headers(package),
        "requestBody": {"required": True, "content": content},
        "responses": {
            "200": {
                "description": "One label and one probability a class, a row.",
                "headers": ticket_header(),
                "content": _json(_answer(package)),
            },
            **_refusals(package),
        },
    }


def _refusals(package: Package) -> Json:
    """Every way in which a request is not answered."""
    limits = package.rollout.limits
    texts = {
        "400": "The body is empty or not JSON.",
        "413": f"The body is longer than {limits.body_bytes} bytes.",
        "408": f"The body was not whole within {limits.timeout_s} seconds.",
        "415": "The body is declared as something else.",
        "422": "A key, a shape, a type or a value does not fit; the message says where and what is allowed.",
        "429": "Too many requests at once; try again.",
        "504": f"No answer within {limits.timeout_s} seconds.",
    }
    error = _object({"error": {"type": "string"}}, ["error"])
    return {status: {"description": text, "content": _json(error)} for status, text in texts.items()}


def _text_rows() -> list[Json]:
    """The forms of a row of text."""
    text: Json = {"type": "string", "minLength": 1, "maxLength": CHARACTERS_MAX, "pattern": r"\S"}
    return [text, _object({TEXT_KEY: text}, [TEXT_KEY])]


def _array_rows(package: Package) -> list[Json]:
    """The forms of a row of numbers, of a picture or of a sound."""
    (wanted,) = package.preprocess.inputs.values()
    row: Json = {"type": "integer" if wanted.dtype.startswith(("int", "uint")) else "number"}
    for length in reversed(wanted.shape):
        row = {"type": "array", "items": row, "minItems": length, "maxItems": length}
    rows = [row]
    if package.preprocess.kind == "image":
        if package.preprocess.channels == 1:
            rows.append(row["items"])
        picture: Json = {"type": "string", "format": "byte", "description": "a PNG or JPEG file of any size"}
        rows.append(_object({"image_base64": picture}, ["image_base64"]))
    if package.preprocess.kind == "audio":
        file: Json = {"type": "string", "format": "byte", "description": "a WAV file of any rate and length"}
        rows.append(_object({"audio_base64": file}, ["audio_base64"]))
    return rows


def _answer(package: Package) -> Json:
    share: Json = {"type": "number", "minimum": 0, "maximum": 1}
    row: Json = {"type": "array", "items": share, "minItems": len(package.labels), "maxItems": len(package.labels)}
    properties: Json = {
        "variant": {"type": "string", "enum": list(ROLES)},
        "model": {"type": "string", "enum": sorted({package.name(role) for role in ROLES})},
        "labels": {"type": "array", "items": {"type": "string", "enum": list(package.labels)}},
        "probabilities": {"type": "array", "items": row},
    }
    return _object(properties, list(properties))


def _object(properties: Json, required: list[str]) -> Json:
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _json(schema: Json) -> Json:
    return {"application/json": {"schema": schema}}


def _get(description: str, media_type: str) -> Json:
    return {"responses": {"200": {"description": description, "content": {media_type: {}}}}}
