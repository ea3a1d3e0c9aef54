"""The config of a transformers network: from a checkpoint's folder, and as plain JSON that builds it again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import JsonValue

from tasks.core.errors import TechniqueError
from tasks.core.transformer import library

NOT_KEPT = ("_name_or_path", "transformers_version", "dtype", "torch_dtype", "auto_map", "architectures")


def config_of(folder: Path) -> Any:
    """The config of a checkpoint's folder; TechniqueError when it is missing, damaged or of an unknown kind."""
    try:
        return library().AutoConfig.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
    except (ValueError, OSError, KeyError) as e:
        raise TechniqueError(f"checkpoint {folder}: no config.json that can be used ({str(e).splitlines()[0]})") from e


def config_from(plain: Mapping[str, JsonValue]) -> Any:
    """A config from what `plain_config` gave; TechniqueError for an unknown `model_type`."""
    kinds = library().CONFIG_MAPPING
    kind = plain.get("model_type")
    if kind not in kinds:
        raise TechniqueError(f"config: model_type {kind!r} is none that transformers knows")
    return kinds[kind].from_dict(dict(plain))


def plain_config(config: Any) -> dict[str, JsonValue]:
    """A config as JSON: what differs from its kind's defaults, without versions, paths and element types."""
    found = config.to_diff_dict()
    return {key: value for key, value in sorted(found.items()) if key not in NOT_KEPT}
