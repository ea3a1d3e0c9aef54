"""A transformer of a few thousand weights, of the very classes of BERT and DistilBERT, and data for it."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tasks.core.contract import Data, Network, Split
from tasks.core.preprocess import Preprocess
from tasks.core.shape import build_like

TOKENS, LENGTH, WIDTH, HEADS, NEURONS, LAYERS = 30, 8, 32, 4, 48, 2


class Classifier(nn.Module):
    """(input_ids, attention_mask), both (N, LENGTH) int64, -> logits (N, classes), from the first token."""

    def __init__(self, encoder: nn.Module, classes: int) -> None:
        super().__init__()
        self.encoder, self.classifier = encoder, nn.Linear(WIDTH, classes)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        hidden = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        out: Tensor = self.classifier(hidden[:, 0])
        return out


def build(*, shape: tuple[int, ...], classes: int, vocab: int, kind: str = "bert") -> nn.Module:
    """Untrained, with weights large enough for the parts to matter."""
    from transformers import BertConfig, BertModel, DistilBertConfig, DistilBertModel

    encoder: nn.Module
    if kind == "bert":
        sizes: dict[str, Any] = {"hidden_size": WIDTH, "num_attention_heads": HEADS, "intermediate_size": NEURONS}
        config = BertConfig(vocab_size=TOKENS, num_hidden_layers=LAYERS, max_position_embeddings=LENGTH, **sizes)
        encoder = BertModel(config, add_pooling_layer=False)
    else:
        sizes = {"dim": WIDTH, "n_heads": HEADS, "hidden_dim": NEURONS, "n_layers": LAYERS}
        encoder = DistilBertModel(DistilBertConfig(vocab_size=TOKENS, max_position_embeddings=LENGTH, **sizes))
    with torch.no_grad():
        for name, p in encoder.named_parameters():
            if p.dim() == 2 and "embeddings" not in name:
                p.mul_(8)
    return Classifier(encoder, classes)


# Where tasks.core.shape looks for an architecture.
sys.modules["tasks.models.tiny_bert"] = ModuleType("tasks.models.tiny_bert")
sys.modules["tasks.models.tiny_bert"].build = build  # type: ignore[attr-defined]


def network(kind: str = "bert") -> Network:
    """The same weights each time; skips the test where the library is absent."""
    pytest.importorskip("transformers")
    torch.manual_seed(0)
    return build_like({"arch": "tiny_bert", "kind": kind}, sentences())


def sentences(rows: int = 96) -> Data:
    """Random tokens, of which the last ones are padding; the class is whether token 1 is among the first four."""
    rng = np.random.default_rng(0)
    ids = rng.integers(2, TOKENS, (rows, LENGTH))
    labels = rng.integers(0, 2, rows)
    ids[labels == 1, rng.integers(0, 4, rows)[labels == 1]] = 1
    mask = (np.arange(LENGTH) < rng.integers(4, LENGTH + 1, rows)[:, None]).astype(np.int64)
    a, b = rows // 2, rows * 3 // 4

    def split(start: int, end: int) -> Split:
        inputs = {"input_ids": ids[start:end], "attention_mask": mask[start:end]}
        return Split(inputs, labels[start:end].astype(np.int64))

    return Data(split(0, a), ("no", "yes"), Preprocess(kind="array"), split(0, 40), split(a, b), split(b, rows))
