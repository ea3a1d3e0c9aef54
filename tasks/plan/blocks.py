"""Blocks whose keys a plug-in decides: `data:` (its source's), `model:` (its architecture's), a row's parameters."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeVar, get_args

from pydantic import BaseModel

from tasks.core.contract import ModelMarker, Params
from tasks.plan.explain import checked
from tasks.plan.plugs import Kind, names, own_keys, plugin
from tasks.plan.problems import MISSING, Document, Keys, show
from tasks.plan.schema import DataBlock, ModelBlock

B = TypeVar("B", DataBlock, ModelBlock)
ROW_KEYS = ("from", "technique")


def check_data(doc: Document) -> DataBlock | None:
    """The `data:` block; None, with its problems noted, when it is wrong."""
    return _named(doc, ("data",), doc.value.get("data", MISSING), DataBlock, ("source", "sources", "load"))


def check_model(doc: Document, path: Keys, raw: object) -> ModelBlock | None:
    """A `model:` block, wherever it stands; None, with its problems noted, when it is wrong."""
    return _named(doc, path, raw, ModelBlock, ("arch", "models", "build"))


def check_params(doc: Document, name: str, technique: str) -> Params | None:
    """The own keys of the row `name`, and the model blocks among them; None when any is wrong."""
    kind: type[Params] = plugin("techniques", technique).Params
    raw = {key: value for key, value in doc.value["variants"][name].items() if key not in ROW_KEYS}
    params = checked(doc, ("variants", name), kind, raw, also=ROW_KEYS)
    before = len(doc.problems)
    for path, block in _model_blocks(kind, raw, ("variants", name)):
        check_model(doc, path, block)
    return params if len(doc.problems) == before else None


def _named(doc: Document, path: Keys, raw: object, house: type[B], plug: tuple[str, Kind, str]) -> B | None:
    """A block with a key that names a plug-in, some keys of the house, and the plug-in's own."""
    key, kind, function = plug
    if not isinstance(raw, dict):
        doc.problem(path, show(raw), f"a mapping with `{key}`")
        return None
    before = len(doc.problems)
    house_keys = tuple(name for name in house.model_fields if name != "params")
    name = doc.choice((*path, key), raw.get(key, MISSING), names(kind))
    of_house = {k: v for k, v in raw.items() if k in house_keys}
    block = checked(doc, path, house, {**of_house, key: name or ""})
    if name is None:
        return None  # whose the other keys are is not known, so they cannot be checked
    model = own_keys(getattr(plugin(kind, name), function))
    own_raw = {k: v for k, v in raw.items() if k not in house_keys}
    own = checked(doc, path, model, own_raw, also=house_keys)
    for place, inner in _model_blocks(model, own_raw, path):
        check_model(doc, place, inner)
    if block is None or own is None or len(doc.problems) > before:
        return None
    params = {k: getattr(own, k) for k in model.model_fields if k in own.model_fields_set}
    return block.model_copy(update={"params": params})


def _model_blocks(kind: type[BaseModel], raw: object, path: Keys) -> Iterator[tuple[Keys, dict[str, Any]]]:
    """Every value in `raw` that `kind` declares as a ModelChoice, however deep, and where it stands."""
    if not isinstance(raw, dict):
        return
    for name, field in kind.model_fields.items():
        key = field.alias or name
        if key not in raw:
            continue
        parts = [field.annotation, *field.metadata, *_parts(field.annotation)]
        several = list(enumerate(raw[key])) if isinstance(raw[key], list) else []
        for value, here in [(raw[key], (*path, key)), *((item, (*path, key, i)) for i, item in several)]:
            if any(isinstance(part, ModelMarker) for part in parts):
                if isinstance(value, dict):
                    yield here, value
                continue
            for part in parts:
                if isinstance(part, type) and issubclass(part, BaseModel):
                    yield from _model_blocks(part, value, here)


def _parts(annotation: object) -> Iterator[object]:
    for part in get_args(annotation):
        yield part
        yield from _parts(part)
