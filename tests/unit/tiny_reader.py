"""A BERT of a few thousand weights, and sentences that it learns in a second: which of three words stands first."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tasks.core.contract import Data, Split
from tasks.core.preprocess import Preprocess


class Reader(nn.Module):
    """transformers' own BertModel, and a classifier on its first token."""

    def __init__(self, layers: int, width: int = 16, heads: int = 2, classes: int = 3) -> None:
        transformers = pytest.importorskip("transformers")

        super().__init__()
        config = transformers.BertConfig(
            vocab_size=20,
            hidden_size=width,
            num_hidden_layers=layers,
            num_attention_heads=heads,
            intermediate_size=2 * width,
            max_position_embeddings=8,
            attn_implementation="eager",
        )
        self.encoder = transformers.BertModel(config, add_pooling_layer=False)
        self.classifier = nn.Linear(width, classes)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        hidden = self.encoder(input_ids, attention_mask).last_hidden_state
        out: Tensor = self.classifier(hidden[:, 0])
        return out


def build(
    *, shape: tuple[int, ...], classes: int, vocab: int = 0, layers: int = 2, width: int = 16, heads: int = 2
) -> nn.Module:
    return Reader(layers, width, heads, classes)


def sentences(rows: int = 240) -> Data:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, rows).astype(np.int64)
    tokens = rng.integers(5, 20, (rows, 8)).astype(np.int64)
    tokens[:, 1] = labels + 1
    mask = (np.arange(8) < rng.integers(3, 9, rows)[:, None]).astype(np.int64)
    tokens *= mask

    def split(a: int, b: int) -> Split:
        return Split({"input_ids": tokens[a:b], "attention_mask": mask[a:b]}, labels[a:b])

    about = Preprocess(kind="array")
    return Data(split(0, 160), ("a", "b", "c"), about, split(0, 32), split(160, 200), split(200, 240))


def seeded(layers: int, seed: int = 0, width: int = 16) -> nn.Module:
    torch.manual_seed(seed)
    return Reader(layers, width).eval()
