"""Texts that a network of a few thousand weights can tell apart, their tokenizer, and a checkpoint of that size."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from tasks.core.contract import Data
from tasks.core.transformer import library
from tasks.sources import parquet_text

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
GOOD, BAD, FILLER = ("fine", "grand"), ("dull", "poor"), ("a", "the", "film", "plot", "one")
WORDS = (*SPECIAL, *GOOD, *BAD, *FILLER)
LENGTH = 8
BERT = {"arch": "bert", "layers": 2, "hidden": 16, "heads": 4, "ffn": 32, "positions": 12}


def tokenizer() -> Tokenizer:
    """A WordLevel tokenizer of 13 tokens that frames a text by [CLS] and [SEP]."""
    found = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
    found.pre_tokenizer = pre_tokenizers.Whitespace()
    found.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return found


def sentences(rows: int, seed: int = 0) -> tuple[list[str], list[int]]:
    """Fillers around one word that tells the class; 1 to 12 words."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, rows).tolist()
    texts = []
    for label in labels:
        words = rng.choice(FILLER, rng.integers(0, 6)).tolist()
        words.insert(int(rng.integers(0, len(words) + 1)), str(rng.choice(GOOD if label else BAD)))
        texts.append(" ".join([*words, *rng.choice(FILLER, rng.integers(0, 6))]))
    return texts, labels


def write(folder: Path, rows: int = 300) -> dict[str, str]:
    """tokenizer.json and train, validation and test.parquet; the `path` and `tokenizer` of the source."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer.json").write_text(tokenizer().to_str())
    for seed, split in enumerate(("train", "validation", "test")):
        texts, labels = sentences(rows if split == "train" else 80, seed)
        pq.write_table(pa.table({"sentence": texts, "label": labels}), folder / f"{split}.parquet")
    return {"path": str(folder), "tokenizer": str(folder / "tokenizer.json")}


def data(folder: Path) -> Data:
    """All four splits; `calibration` is train."""
    from dataclasses import replace

    found = parquet_text.load(**write(folder), length=LENGTH, class_names=("bad", "good"))
    return replace(found, calibration=found.train)


def checkpoint(folder: Path, vocab: int = len(WORDS)) -> Path:
    """A folder as the hub has them: config.json, model.safetensors and tokenizer.json of a tiny BERT."""
    transformers = library()
    config = transformers.BertConfig(
        vocab_size=vocab,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=32,
        max_position_embeddings=12,
    )
    transformers.BertModel(config).save_pretrained(folder)
    (folder / "tokenizer.json").write_text(tokenizer().to_str())
    assert json.loads((folder / "config.json").read_text())["model_type"] == "bert"
    return folder
