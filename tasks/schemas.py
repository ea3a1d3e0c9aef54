"""JSON Schemas of the files under params/, so that an editor completes names and marks mistakes while one types.

Made from the same models and plug-in signatures that the plan is checked with; `make schemas` writes them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel

from tasks.core.contract import MODEL_SCHEMA
from tasks.plan.plugs import Kind, names, own_keys, plugin
from tasks.plan.rows import NAME
from tasks.plan.schema import (
    ROOT,
    DataBlock,
    Expectations,
    ModelBlock,
    PlainKeys,
    Promotion,
    Rollout,
    Schedule,
    Variant,
)

FOLDER: Final = Path("params/schemas")
_DIALECT: Final = "http://json-schema.org/draft-07/schema#"  # the newest that every editor understands
Schema = dict[str, Any]


def run() -> None:
    """Write params/schemas/*.json and say which."""
    for path in write():
        print(path)


def write(folder: Path = FOLDER) -> list[Path]:
    """Write one schema a file under params/; equal models make equal bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, schema in render().items():
        path = folder / f"{name}.json"
        path.write_text(json.dumps(schema, indent=2) + "\n", encoding="utf-8")
        written.append(path)
    return written


def render() -> dict[str, Schema]:
    """The schemas by the names of their files."""
    flat: dict[str, type[BaseModel]] = {
        "expectations": Expectations,
        "rollout": Rollout,
        "promotion": Promotion,
        "schedule": Schedule,
    }
    rendered = {"plan": _plan()}
    for name, kind in flat.items():
        definitions: Schema = {}
        schema = _of(kind, definitions)
        rendered[name] = {"$schema": _DIALECT, "title": f"{name}.yaml", **schema, "definitions": definitions}
    return rendered


def _plan() -> Schema:
    definitions: Schema = {}
    schema = _of(PlainKeys, definitions)
    definitions["data"] = _choice(DataBlock, "source", "sources", "load", definitions)
    definitions["model"] = _choice(ModelBlock, "arch", "models", "build", definitions)
    definitions["row"] = _row(definitions)
    rows = {
        "type": "object",
        "minProperties": 2,
        "propertyNames": {"pattern": f"^{NAME.pattern}$", "not": {"const": ROOT}},
        "additionalProperties": {"$ref": "#/definitions/row"},
    }
    schema["description"] = "The whole experiment."
    schema["properties"] |= {"data": _ref("data"), "model": _ref("model"), "variants": rows}
    schema["required"] = sorted([*schema["required"], "data", "model", "variants"])
    return {"$schema": _DIALECT, "title": "plan.yaml", **schema, "definitions": definitions}


def _choice(house: type[BaseModel], key: str, kind: Kind, function: str, definitions: Schema) -> Schema:
    """A block whose other keys depend on the plug-in that `key` names."""
    own = {name: own_keys(getattr(plugin(kind, name), function)) for name in names(kind)}
    base = _of(house, definitions)
    base["properties"].pop("params")
    return _switch(base, key, {name: _of(model, definitions, f"{kind}.{name}") for name, model in own.items()})


def _row(definitions: Schema) -> Schema:
    told = Variant.model_fields
    base = {
        "type": "object",
        "description": "One variant: what it is made from, by which technique, and the technique's own keys.",
        "properties": {
            "from": {"type": "string", "description": told["parent"].description},
            "technique": {"type": "string", "description": told["technique"].description},
        },
        "required": ["from", "technique"],
    }
    params = {name: plugin("techniques", name).Params for name in names("techniques")}
    return _switch(
        base, "technique", {name: _of(model, definitions, f"techniques.{name}") for name, model in params.items()}
    )


def _switch(base: Schema, key: str, cases: dict[str, Schema]) -> Schema:
    """`base`, where the value of `key` says which case the keys beside the base's follow."""
    base["properties"][key] |= {"enum": list(cases)}
    shared = base.pop("properties")
    base.pop("additionalProperties", None)
    base["allOf"] = [
        {
            "if": {"properties": {key: {"const": name}}, "required": [key]},
            "then": {**case, "properties": {**shared, **case.get("properties", {})}, "additionalProperties": False},
        }
        for name, case in cases.items()
    ]
    return {**base, "properties": {key: shared[key]}}


def _of(kind: type[BaseModel], definitions: Schema, prefix: str = "") -> Schema:
    """The schema of one model; its inner models go to `definitions`, under `prefix` lest two plug-ins' names meet."""
    start = f"{prefix}." if prefix else ""
    schema = kind.model_json_schema(ref_template=f"#/definitions/{start}{{model}}")
    inner = schema.pop("$defs", {})
    definitions |= {f"{start}{name}": _tidy(part) for name, part in inner.items()}
    return dict(_tidy(schema))


def _tidy(schema: Any) -> Any:
    """The same schema without pydantic's titles, and with every ModelChoice a reference to the `model:` block."""
    if isinstance(schema, list):
        return [_tidy(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("$comment") == MODEL_SCHEMA["$comment"]:
        return {"allOf": [_ref("model")], **({"description": schema["description"]} if "description" in schema else {})}
    return {key: _tidy(part) for key, part in schema.items() if key != "title" or isinstance(part, dict)}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/definitions/{name}"}
