"""Where INT8 fails: a trained ResNet-9 whose channels have unequal scales, the same function in floats.

    STILLROOM_DATA=... python benchmarks/seeds.py fashion_mnist --folder runs --seeds 7 8 9 --rows baseline --no-bench
    STILLROOM_DATA=... python -m benchmarks.unequal runs/fashion_mnist_[789] > table.md

A channel's batch norm is multiplied by a factor and the weights that read the channel are divided by it, which ReLU and
max-pooling let through unchanged: the float answers stay, the ranges of weights and activations spread. Networks are
found in this state, MobileNetV2 among them (Nagel et al., 2019, arXiv:1906.04721); here it is planted, so that the
spread is known. Then INT8 a tensor, INT8 a channel, mixed precision and quantization-aware training, each from there.
Latency is measured last, alone, on the first source's rows.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from benchmarks.seeds import build, step, table

READ_BY = {"body.0": "body.1", "body.3.body.0": "body.3.body.1", "body.4": "body.6", "body.8.body.0": "body.8.body.1"}
ROWS = """
  baseline:    {from: data, technique: load, path: unequal.safetensors, prefix: body., sha256: DIGEST}
  int8_tensor: {from: baseline, technique: quantize, scheme: static, weights: per_tensor}
  int8:        {from: baseline, technique: quantize, scheme: static}
  int8_mixed:  {from: baseline, technique: quantize, scheme: static, weights: per_tensor, keep_float: HALF_A_POINT}
  int8_close:  {from: baseline, technique: quantize, scheme: static, weights: per_tensor, keep_float: A_TENTH}
  int8_channel_mixed: {from: baseline, technique: quantize, scheme: static, keep_float: A_TENTH}
  qat_tensor:  {from: baseline, technique: qat, weights: per_tensor, epochs: 2, lr: 0.002, batch: 128, augment: [flip]}
"""


def spread(state: dict[str, Tensor], octaves: float, generator: torch.Generator) -> dict[str, Tensor]:
    """`state`, its channels multiplied by 2 to the power of ±octaves/2 at most, and divided where they are read."""
    state = dict(state)
    for writer, reader in READ_BY.items():
        scale, shift, weight = f"{writer}.1.weight", f"{writer}.1.bias", f"{reader}.0.weight"
        factor_C = 2 ** (octaves * (torch.rand(len(state[scale]), generator=generator) - 0.5))
        state |= {scale: state[scale] * factor_C, shift: state[shift] * factor_C}
        state[weight] = state[weight] / factor_C[None, :, None, None]
    return state


def lay_out(source: Path, folder: Path, octaves: float) -> list[str]:
    """A folder with the source's data and plan, and the rows above in place of its own; returns their names."""
    shutil.copytree(source / "artifacts/data", folder / "artifacts/data", dirs_exist_ok=True)
    shutil.copytree(source / "params", folder / "params", dirs_exist_ok=True)
    state = load_file(str(source / "artifacts/baseline/weights.safetensors"))
    weights = folder / "unequal.safetensors"
    save_file(spread(state, octaves, torch.Generator().manual_seed(0)), str(weights))
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    allowed = {"HALF_A_POINT": "{accuracy_drop: 0.005}", "A_TENTH": "{accuracy_drop: 0.001}", "DIGEST": digest}
    rows = re.sub("|".join(allowed), lambda found: allowed[found[0]], ROWS)
    plan = folder / "params/plan.yaml"
    text = plan.read_text(encoding="utf-8")
    plan.write_text(re.sub(r"(?ms)^variants:.*?^(?=bench)", f"variants:{rows}", text), encoding="utf-8")
    return re.findall(r"(?m)^  (\w+): +\{from:", ROWS)


def main() -> None:
    """Build, evaluate, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sources", type=Path, nargs="+", help="of benchmarks/seeds.py, with a ResNet-9 as baseline")
    parser.add_argument("--octaves", type=float, default=7.5, help="between the smallest factor and the greatest")
    asked = parser.parse_args()
    folders = [source.resolve().with_name(f"{source.resolve().name}_unequal") for source in asked.sources]
    for source, folder in zip(asked.sources, folders, strict=True):
        rows = lay_out(source, folder, asked.octaves)
        build(folder, rows)
    step(folders[0], "bench")
    print(table(folders, rows))


if __name__ == "__main__":
    main()
