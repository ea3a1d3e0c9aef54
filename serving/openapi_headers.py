"""The headers of a request that wants an answer, for the OpenAPI document."""

from __future__ import annotations

from typing import Any

from serving.ask import USER, USER_ID_MAX, VARIANT
from serving.package import ROLES, Package
from serving.raw import DTYPE, DTYPES, MEDIA_TYPE, SHAPE

Json = dict[str, Any]


def headers(package: Package) -> list[Json]:
    """Every header that is looked at."""
    found = [
        _header(VARIANT, "for testers: overrides the split", {"type": "string", "enum": list(ROLES)}),
        _header(
            USER,
            "who asks, where the body does not say: the same user always gets the same variant",
            {"type": "string", "minLength": 1, "maxLength": USER_ID_MAX},
        ),
    ]
    if package.preprocess.kind == "text":
        return found
    ((_, wanted),) = package.preprocess.inputs.items()
    form = ",".join(map(str, ("N", *wanted.shape)))
    return [
        *found,
        _header(
            DTYPE,
            f"of {MEDIA_TYPE}: the elements, little-endian; without it, {wanted.dtype}",
            {"type": "string", "enum": list(DTYPES), "default": wanted.dtype},
        ),
        _header(
            SHAPE,
            f"of {MEDIA_TYPE}: {form}, in C order; without it, as many rows as the bytes make",
            {"type": "string", "pattern": "^[0-9]+(,[0-9]+)*$"},
        ),
    ]


def _header(name: str, description: str, schema: Json) -> Json:
    return {"name": name, "in": "header", "description": description, "schema": schema}
