"""Post-training quantization: weights, and mostly activations, on fewer bits, through ONNX Runtime.

Jacob et al., *Quantization and Training of Neural Networks for Integer-Arithmetic-Only Inference*, 2017
(arXiv:1712.05877). `static` fixes the activations' ranges beforehand on data.calibration, `dynamic` anew in each call.
`weight_only` (Frantar et al., *GPTQ*, 2022, arXiv:2210.17323, for the setting; here by plain rounding) puts blocks of
the weights of matrix products on 4 or 8 bits. `fp16` and `bf16` (Micikevicius et al., 2017, arXiv:1710.03740; Kalamkar
et al., 2019, arXiv:1905.12322) halve the file. `keep_float` mixes precisions by measured sensitivity (after Dong et
al., *HAWQ*, 2019, arXiv:1905.03696, which estimates it).

Use when a network of convolutions (static) or of matrix products, such as a transformer (dynamic), must be about 4x
smaller and 2 to 3x faster without training; weight_only when matrix products must be yet smaller; fp16 and bf16 when
nothing may be lost. Changes an ONNX graph into another: weights become signed, symmetric, one scale an output channel;
embedding tables likewise, one scale a column; activations unsigned, since S8S8 has no fast kernel on x86. Batch
normalisation is folded first. The logits stay float. Convolutions are never quantized dynamically: that is 5 to 10
times slower than float. A dynamic range is that of the whole call, so a row's answer depends a little on the rows that
are asked with it. `fp16` and `bf16` save no time on a processor without such kernels: ONNX Runtime then casts the
weights to float32 when it loads the file; the fact `layers_computed_in` tells what it made of them on this machine.
`weights_left_float` is the share of the weights that kept their 32 bits; above one half the row warns.
Costs no training: passes over data.calibration (static), and for `keep_float` a score on `val` for each layer and each
set of layers that is tried. Static INT8 took 0.39 to 0.44 of the latency and 3.8 times fewer bytes in the zoo
(benchmarks/RESULTS.md), for -0.05 and 0.11 points; of a MiniLM dynamic INT8 0.49 to 0.52, fp16 and bf16 1.0 to 1.1,
weight_only on 8 and 4 bits 1.0 to 1.2, all without a loss that could be told.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from tasks.core.contract import Graph
from tasks.core.contract import Params as Base
from tasks.core.errors import TechniqueError
from tasks.core.frozen import Frozen

if TYPE_CHECKING:
    from tasks.core.contract import Data, Facts, Outcome

TAKES = "onnx"
GIVES = "onnx"

ONLY_FOR = {
    "calibration": ("static",),
    "percentile": ("static",),
    "calibration_rows": ("static",),
    "reduce_range": ("static", "dynamic"),
    "weights": ("static", "dynamic"),
    "bits": ("weight_only",),
    "block_size": ("weight_only",),
    "symmetric": ("weight_only",),
    "arithmetic": ("weight_only",),
    "embeddings": ("dynamic", "weight_only"),
    "keep_float": ("static", "dynamic", "weight_only"),
}


class KeepFloat(Frozen):
    """How much accuracy may be lost, and what is dear about a layer in float."""

    accuracy_drop: float = Field(ge=0, lt=1, description="how far below the parent on val, as a share of rows: 0.005")
    cost: Literal["macs", "bytes"] = Field("macs", description="what to keep in float as little as possible of")


class Params(Base):
    """Which scheme, how static ranges are found, and what stays in float."""

    scheme: Literal["static", "dynamic", "weight_only", "fp16", "bf16"] = Field(
        "static", description="static for convolutions, dynamic for transformers, the others for the file's size"
    )
    calibration: Literal["minmax", "entropy", "percentile"] = Field(
        "minmax", description="static ranges: all values, the least information lost, or all but the outermost"
    )
    percentile: float = Field(99.99, gt=50, le=100, description="of values within the range, for `percentile`")
    calibration_rows: int | None = Field(None, ge=1, description="static ranges from so many rows; null: from all")
    reduce_range: bool = Field(False, description="7-bit weights, for processors without VNNI, whose sums overflow")
    weights: Literal["per_channel", "per_tensor"] = Field(
        "per_channel", description="one scale an output channel, or one a weight, as some accelerators want"
    )
    bits: Literal[4, 8] = Field(4, description="of a weight, for weight_only")
    block_size: Literal[16, 32, 64, 128, 256] = Field(32, description="weights that share a scale, for weight_only")
    symmetric: bool = Field(True, description="weight_only without zero points; false: about half the error on 4 bits")
    arithmetic: Literal["int8", "float32"] = Field(
        "int8", description="weight_only: int8 rounds activations inside the kernel and is up to 2x faster"
    )
    embeddings: Literal["int8", "float"] = Field(
        "int8", description="embedding tables on 8 bits too, one scale a column, or as they are"
    )
    exclude: tuple[Annotated[str, Field(min_length=1)], ...] = Field(
        (), description="layers or nodes to leave in float, by name or pattern: [body.0.*, '*add*']"
    )
    keep_float: KeepFloat | None = Field(
        None, description="leave the cheapest layers in float that keep val accuracy within a budget; null: none"
    )

    @model_validator(mode="after")
    def _of_the_scheme(self) -> Params:
        for key, schemes in ONLY_FOR.items():
            if self.scheme not in schemes and getattr(self, key) != type(self).model_fields[key].default:
                raise ValueError(f"{key} does nothing with scheme: {self.scheme}; it is for {', '.join(schemes)}")
        return self


def apply(parent: Graph, data: Data, params: Params) -> Outcome:
    """A quantized copy of `parent`. Raises TechniqueError when nothing in it can be quantized."""
    from tasks.core import blockwise, half, int8, mixed, quantizable, quantizer, tables
    from tasks.core.contract import Outcome
    from tasks.core.graph import plain, upstream
    from tasks.core.log_mel import FRONT, IN_FLOAT
    from tasks.core.quiet import quiet

    facts: Facts = {}
    with tempfile.TemporaryDirectory() as name, quiet():
        folded = int8.fold(parent.proto, Path(name))
        quantizable.check(folded, params.scheme)
        front = dict.fromkeys(upstream(folded, FRONT), IN_FLOAT)
        kept = {**quantizable.excluded(folded, params.exclude), **front}
        if params.scheme == "weight_only":
            how = params.model_dump(include={"bits", "block_size", "symmetric"})
            kept = {**blockwise.unfit(folded, **how), **kept}
        not_for_maker = {"exclude", "keep_float", "embeddings"}
        make = quantizer.maker(Path(name), folded, data, **params.model_dump(exclude=not_for_maker))
        if params.scheme in tables.SCHEMES:
            as_they_are = dict.fromkeys(tables.tables(folded), "embeddings: float")
            kept = {**(tables.wasteful(folded) if params.embeddings == "int8" else as_they_are), **kept}
            make = tables.too(make)
        if params.keep_float is not None:
            costs = mixed.cost_in_float(folded, data, params.keep_float.cost)
            val, budget = data.split("val"), params.keep_float.accuracy_drop
            more, facts = mixed.keep_in_float(make, folded, val, kept, costs, budget, params.scheme)
            kept = {**kept, **more}
        result = make(frozenset(kept))
    quantized, left = quantizable.verdict(folded, result, kept, params.scheme)
    if not quantized:
        raise TechniqueError(f"quantize: ONNX Runtime left every node in float: {left}")
    if params.scheme in ("fp16", "bf16"):
        facts = {"layers_computed_in": {**half.computed_in(result)}}
    if params.scheme == "fp16":
        facts["constants_clamped"] = half.clamped(folded)
    facts |= {"nodes_quantized": [*quantized], "nodes_left_float": {**left}}
    return Outcome(Graph(plain(result)), facts | quantizable.float_facts(folded, result))
