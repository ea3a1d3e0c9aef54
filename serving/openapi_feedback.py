"""/feedback in the OpenAPI document."""

from __future__ import annotations

from typing import Any

from serving.package import Package
from serving.ticket import HEADER, ROWS_MAX

Json = dict[str, Any]


def feedback(package: Package) -> Json:
    """POST /feedback: labels for rows that were answered before."""
    label: Json = {"type": "string", "enum": list(package.labels), "nullable": True}
    properties: Json = {
        "ticket": {"type": "string", "description": f"the header {HEADER} of an answer"},
        "labels": {
            "type": "array",
            "items": label,
            "minItems": 1,
            "maxItems": ROWS_MAX,
            "description": "what was right, one a row of that answer; null where it is not known",
        },
    }
    outcome: Json = {
        "counted": {"type": "integer", "minimum": 0, "description": "rows that had a label"},
        "right": {"type": "integer", "minimum": 0, "description": "of them, rows that were answered right"},
        "why": {"type": "string", "description": "why none was counted, if none was"},
    }
    refusals = {
        "400": "The body is not JSON.",
        "403": "This service gives no tickets.",
        "409": "The ticket was used before.",
        "413": "The body is too long.",
        "415": "The body is declared as something else.",
        "422": "The ticket is not one of this service's, or the labels do not fit it.",
        "503": "The control plane, which knows the tickets that were used, is away; send it again.",
    }
    error = _object({"error": {"type": "string"}})
    return {
        "operationId": "feedback",
        "description": "Say what was right; it is counted for the variant that answered.",
        "requestBody": {"required": True, "content": _json(_object(properties))},
        "responses": {
            "200": {"description": "What was counted.", "content": _json(_object(outcome))},
            **{status: {"description": text, "content": _json(error)} for status, text in refusals.items()},
        },
    }


def ticket_header() -> Json:
    """The header of an answer that /feedback wants back."""
    about = f"for /feedback; not given for more than {ROWS_MAX} rows, nor where the service has no key for it"
    return {HEADER: {"description": about, "schema": {"type": "string"}}}


def _object(properties: Json) -> Json:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def _json(schema: Json) -> Json:
    return {"application/json": {"schema": schema}}
