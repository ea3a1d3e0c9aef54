"""Classifiers around the transformers library: one wrapper for texts, one for pictures, and configs as plain JSON.

A network is rebuilt from its config alone, which model.json holds; no hub is asked and no code of a checkpoint runs.
Shapes: N = rows, L = tokens, D = hidden size, C = classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from inspect import signature
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import torch
from pydantic import JsonValue
from torch import Tensor, nn

from tasks.core import hub
from tasks.core.errors import TechniqueError
from tasks.core.quiet import quiet

Pooling = Literal["mean", "cls"]
PLAIN_MASK = ("albert", "bert", "distilbert", "electra", "mpnet", "roberta", "xlm-roberta")
"""Families that take a mask (N, 1, 1, L) to be added to the attention's scores."""
LIBRARY: dict[str, Any] = {"attn_implementation": "eager", "trust_remote_code": False}


def library() -> Any:
    """The package transformers, without telemetry; TechniqueError when it is not installed."""
    hub.silence()
    try:
        with quiet():
            import transformers
    except ImportError:
        raise TechniqueError(
            "this architecture needs the package transformers, which is not installed; `pip install 'stillroom[text]'`"
        ) from None
    return transformers


class Rebuilt(nn.Module):
    """A network that tells what its `model:` block lacks for building it again (see tasks.core.shape.construct)."""

    remembered: Mapping[str, JsonValue] = MappingProxyType({})


class TextClassifier(Rebuilt):
    """A transformer and, over the mean of its tokens or its first one, a linear layer.

    Layers are named as transformers names them, `backbone.encoder.layer.<i>...`, whatever the network's size.
    """

    def __init__(self, backbone: nn.Module, hidden: int, classes: int, pooling: Pooling, dropout: float) -> None:
        """`hidden` is D; `dropout` is that in front of the last layer."""
        super().__init__()
        self.backbone = backbone
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(hidden, classes)
        self.pooling = pooling
        # The library's own way to these two leaves shapes in the graph that cannot be told beforehand.
        self.plain_mask = getattr(backbone.config, "model_type", "") in PLAIN_MASK
        self.types = self.plain_mask and "token_type_ids" in signature(backbone.forward).parameters

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Logits (N, C) of token ids and mask (N, L), int64."""
        own: dict[str, Tensor] = {"attention_mask": attention_mask}
        if self.plain_mask:
            lowest = torch.finfo(torch.float32).min
            own["attention_mask"] = (1 - attention_mask[:, None, None, :].to(torch.float32)) * lowest
        if self.types:
            own["token_type_ids"] = torch.zeros_like(input_ids[:1])
        states_NLD = self.backbone(input_ids=input_ids, **own).last_hidden_state
        if self.pooling == "cls":
            pooled_ND = states_NLD[:, 0]
        else:
            mask_NL1 = attention_mask.unsqueeze(-1).to(states_NLD.dtype)
            pooled_ND = (states_NLD * mask_NL1).sum(1) / mask_NL1.sum(1).clamp(min=1)
        out: Tensor = self.head(self.dropout(pooled_ND))
        return out


class PictureClassifier(Rebuilt):
    """A picture classifier of transformers that takes float pictures (N, channels, H, W) and gives logits (N, C)."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, pictures: Tensor) -> Tensor:
        """Logits (N, C)."""
        out: Tensor = self.backbone(pixel_values=pictures).logits
        return out


def text_classifier(
    config: Any, folder: Path | None, *, shape: tuple[int, ...], classes: int, vocab: int, pooling: Pooling, drop: float
) -> TextClassifier:
    """A classifier of rows of `shape` (L,): from `config`, with the weights in `folder` when there is one.

    Raises TechniqueError when the transformer has too few positions or token embeddings for the data.
    """
    for name, needed, what in (
        ("vocab_size", vocab, "token ids of the data's tokenizer; use the checkpoint's own tokenizer"),
        ("max_position_embeddings", shape[0], "tokens a row; set the data's `length` to at most that"),
    ):
        there = getattr(config, name, None)
        if there is not None and there < needed:
            raise TechniqueError(f"model: {config.model_type} has {name} {there}, but there are {needed} {what}")
    auto = library().AutoModel
    backbone = _made(auto, config, folder)
    # Its output is not used; ONNX would drop it, a checkpoint would not.
    if getattr(backbone, "pooler", None) is not None:
        backbone.pooler = None
    return TextClassifier(backbone, config.hidden_size, classes, pooling, drop)


def picture_classifier(config: Any, folder: Path | None, *, shape: tuple[int, ...], classes: int) -> PictureClassifier:
    """A classifier of pictures of `shape` (channels, H, W), with a fresh last layer where the classes differ."""
    channels = getattr(config, "num_channels", shape[0])
    if len(shape) != 3 or channels != shape[0]:
        raise TechniqueError(f"model: {config.model_type} needs pictures of {channels} channels, not rows of {shape}")
    config.num_labels = classes
    return PictureClassifier(_made(library().AutoModelForImageClassification, config, folder, ignore=True))


def _made(auto: Any, config: Any, folder: Path | None, *, ignore: bool = False) -> Any:
    """The library's own network, in float32."""
    try:
        with quiet():
            if folder is None:
                return auto.from_config(config, **LIBRARY).float()
            more = {"use_safetensors": True, "dtype": torch.float32, "ignore_mismatched_sizes": ignore}
            return auto.from_pretrained(str(folder), config=config, local_files_only=True, **LIBRARY, **more)
    except (ValueError, OSError) as e:
        told = str(e).splitlines()[0]
        raise TechniqueError(f"model: {config.model_type} cannot be built from {folder or 'its config'}: {told}") from e
