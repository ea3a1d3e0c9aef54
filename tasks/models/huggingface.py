"""Any checkpoint of Hugging Face transformers, as a classifier of texts or of pictures.

*Use when* a pretrained network is to be trained further and made small. It comes from a folder, from an installed
package that carries weights, or from the hub, there with its commit as `revision`. Weights are read from safetensors;
code in a checkpoint is never run. What is kept in model.json is the config, so nothing is fetched a second time.
For texts a fresh linear layer stands over the mean of the tokens (or the first one); pictures get the family's own.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, JsonValue

from tasks.core.errors import TechniqueError

if TYPE_CHECKING:
    from torch import nn

WEIGHTS = "checkpoint"
"""The key that says that the network starts with trained weights."""


def build(
    *,
    shape: tuple[int, ...],
    classes: int,
    vocab: int = 0,
    checkpoint: Annotated[
        str | None, Field(min_length=1, description="a folder, an installed package, or owner/name of the hub")
    ] = None,
    revision: Annotated[str | None, Field(description="of a checkpoint of the hub: its commit, 40 hex digits")] = None,
    pooling: Annotated[Literal["mean", "cls"], Field(description="texts: over all tokens, or the first one")] = "mean",
    dropout: Annotated[float, Field(ge=0, lt=1, description="in front of the last layer of a text classifier")] = 0.1,
    config: Annotated[
        dict[str, JsonValue] | None, Field(description="in place of a checkpoint: an untrained network of this config")
    ] = None,
    origin: Annotated[str | None, Field(description="where `config` came from; filled in, for information")] = None,
) -> nn.Module:
    """With the checkpoint's weights, or untrained from `config`. Shapes: (N, L) twice, or (N, C, H, W) -> (N, classes).

    Raises TechniqueError when the checkpoint cannot be found or does not fit the data.
    """
    from tasks.core import configs, transformer

    folder, made, made_of = started(checkpoint, revision, config)
    network: transformer.TextClassifier | transformer.PictureClassifier
    if vocab:
        network = transformer.text_classifier(
            made, folder, shape=shape, classes=classes, vocab=vocab, pooling=pooling, drop=dropout
        )
    else:
        network = transformer.picture_classifier(made, folder, shape=shape, classes=classes)
    network.remembered = {
        "checkpoint": None,
        "revision": None,
        "config": configs.plain_config(made),
        "origin": made_of or origin,
    }
    return network


def started(
    checkpoint: str | None, revision: str | None, config: dict[str, JsonValue] | None
) -> tuple[Path | None, Any, str | None]:
    """The checkpoint's folder, config and origin, or of a config in its place the config alone."""
    from tasks.core import configs
    from tasks.core.hub import checkpoint_folder

    if checkpoint is not None and config is None:
        folder = checkpoint_folder(checkpoint, revision, TechniqueError)
        origin = f"{checkpoint}{'@' + revision if revision else ''}, {digest(folder)}"
        return folder, configs.config_of(folder), origin
    if checkpoint is None and config is not None:
        return None, configs.config_from(config), None
    raise TechniqueError("model: huggingface needs one of `checkpoint` and `config`")


def digest(folder: Path) -> str:
    """`sha256:` and the digest over the names and contents of a checkpoint's weights, in the order of their names."""
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise TechniqueError(f"checkpoint {folder}: no *.safetensors in it; pickled weights are not read")
    total = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            total.update(path.name.encode() + hashlib.file_digest(file, "sha256").digest())
    return f"sha256:{total.hexdigest()}"
