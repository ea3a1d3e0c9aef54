"""BERT in any size: a student for texts.

Devlin et al., *BERT*, 2018 (arXiv:1810.04805); `embedding_rank` splits the token embedding into two smaller factors, as
Lan et al., *ALBERT*, 2019 (arXiv:1909.11942), section 3.1. *Use when* a smaller network is to learn from a fine-tuned
BERT: a network of 3 layers of MiniLM's width has 60 % of its bytes, and the embedding is most of what is left.
Layers carry the names that `huggingface` gives them, `backbone.encoder.layer.<i>...`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from tasks.core.errors import TechniqueError

if TYPE_CHECKING:
    from torch import nn

Size = Annotated[int, Field(ge=1, le=65536)]


def build(
    *,
    shape: tuple[int, ...],
    classes: int,
    vocab: int = 0,
    layers: Annotated[int, Field(ge=1, le=96)] = 3,
    hidden: Size = 384,
    heads: Annotated[int, Field(ge=1, le=256, description="of attention a layer; they divide `hidden`")] = 12,
    ffn: Annotated[Size, Field(description="inner size of a layer's two matrices after attention")] = 1536,
    embedding_rank: Annotated[Size | None, Field(description="of the token embedding; null: not factorised")] = None,
    positions: Annotated[Size, Field(description="of which a row uses the first; 512 as BERT's own")] = 512,
    pooling: Annotated[Literal["mean", "cls"], Field(description="over all tokens, or the first one")] = "mean",
    dropout: Annotated[float, Field(ge=0, lt=1, description="everywhere")] = 0.1,
) -> nn.Module:
    """Untrained, with as many token embeddings as the data's tokenizer has. Shapes: (N, L) twice -> (N, classes).

    Raises TechniqueError for data without text, and where heads do not divide `hidden`.
    """
    from tasks.core import transformer

    if not vocab:
        raise TechniqueError(f"model: bert needs texts, not rows of {shape}; a source such as parquet_text gives them")
    if hidden % heads:
        raise TechniqueError(f"model: bert: {heads} heads do not divide hidden {hidden}")
    config = transformer.library().BertConfig(
        vocab_size=vocab,
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=ffn,
        max_position_embeddings=positions,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
    )
    network = transformer.text_classifier(
        config, None, shape=shape, classes=classes, vocab=vocab, pooling=pooling, drop=dropout
    )
    if embedding_rank is not None:
        network.backbone.set_submodule("embeddings.word_embeddings", factors(vocab, embedding_rank, hidden))
    return network


def factors(rows: int, rank: int, columns: int) -> nn.Module:
    """A token embedding of `rank`, drawn as wide as BERT's own; the two layers that the technique `factorize` makes."""
    from torch import nn

    table, wide = nn.Embedding(rows, rank), nn.Linear(rank, columns, bias=False)
    nn.init.normal_(table.weight, std=0.02)
    nn.init.normal_(wide.weight, std=rank**-0.5)
    return nn.Sequential(table, wide)
