"""Finding a Hugging Face checkpoint: in a folder, in an installed package, or on the hub.

Whatever it is, its files end up in a local folder and are read as data: safetensors and JSON, never pickles or code.
A checkpoint of the hub is named with its commit, so that the same plan always means the same weights.
"""

from __future__ import annotations

import os
import re
from importlib import metadata
from pathlib import Path

from tasks.core.errors import StillroomError

PATTERNS = ("config.json", "tokenizer.json", "*.safetensors", "*.safetensors.index.json")
COMMIT = re.compile(r"[0-9a-f]{40}\Z")


def silence() -> None:
    """No telemetry and no progress bars; to be called before the hub's library or transformers is imported."""
    for name in ("HF_HUB_DISABLE_TELEMETRY", "DISABLE_TELEMETRY", "HF_HUB_DISABLE_PROGRESS_BARS"):
        os.environ[name] = "1"


def checkpoint_folder(name: str, revision: str | None, wrong: type[StillroomError]) -> Path:
    """The folder with a checkpoint's files.

    Args:
        name: a folder, an installed package that carries weights, or `owner/name` on the hub.
        revision: the hub's commit, 40 hex digits; for nothing else.
        wrong: the error to raise, saying what was looked for, when it cannot be found.
    """
    for folder in (Path(name).expanduser(), _in_package(name)):
        if folder is not None and folder.is_dir():
            if revision is not None:
                raise wrong(f"revision: {revision!r} is for a checkpoint of the hub; {name!r} is the folder {folder}")
            return folder
    if name.count("/") != 1 or name.startswith(("/", ".", "~")):
        raise wrong(
            f"checkpoint {name!r}: no such folder, and no installed package of that name carries a config.json beside "
            f"safetensors; allowed: a folder, an installed package, or owner/name of the Hugging Face hub"
        )
    if revision is None or not COMMIT.match(revision):
        raise wrong(
            f"checkpoint {name!r} is no folder here, and of the hub it needs `revision`: found {revision!r}; "
            f"allowed: the 40 hex digits of a commit, as the hub's page of the model's files shows it"
        )
    return _from_hub(name, revision, wrong)


def _in_package(name: str) -> Path | None:
    """The uppermost folder of an installed package with a config.json beside safetensors."""
    try:
        files = metadata.distribution(name).files or []
    except (metadata.PackageNotFoundError, ValueError):
        return None
    paths = [Path(str(file.locate())) for file in files if file.suffix in (".json", ".safetensors")]
    weights = {path.parent for path in paths if path.suffix == ".safetensors"}
    folders = {path.parent for path in paths if path.name == "config.json"} & weights
    return min(folders, key=lambda folder: (len(folder.parts), str(folder)), default=None)


def _from_hub(name: str, revision: str, wrong: type[StillroomError]) -> Path:
    silence()
    try:
        from huggingface_hub import snapshot_download
    except ImportError:
        raise wrong(
            f"checkpoint {name!r}: needs the package huggingface-hub; `pip install 'stillroom[text]'`"
        ) from None
    try:
        found = snapshot_download(name, revision=revision, allow_patterns=list(PATTERNS), ignore_patterns=["*/*"])
    except (OSError, ValueError) as e:  # what the hub's library raises for no network, no such model, a wrong name
        told = str(e).splitlines()[0] if str(e) else type(e).__name__
        raise wrong(f"checkpoint {name!r} at {revision[:12]}: cannot be fetched from the hub ({told})") from None
    return Path(found)
