"""2:4 sparsity where hardware multiplies it: the sparse tensor cores of NVIDIA GPUs since Ampere.

`torch.sparse.to_sparse_semi_structured` packs the weight of a Linear, half of whose bytes are gone, for cuSPARSELt or
CUTLASS (Mishra et al., *Accelerating Sparse Deep Neural Networks*, 2021, arXiv:2104.08378). Convolutions have no such
kernel in PyTorch. A network that is exported to ONNX does not carry it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from tasks.core.arrays import batches
from tasks.core.contract import Data, Facts
from tasks.core.device import best_device, bring_back, placed

AMPERE = (8, 0)
ROWS = 64  # of `calibration`, on which the kernels are tried
Pack = Callable[[Tensor], Tensor]


def capable(device: torch.device) -> bool:
    """Whether `device` has sparse tensor cores."""
    return device.type == "cuda" and torch.cuda.get_device_capability(device) >= AMPERE


def packed(
    module: nn.Module, names: Iterable[str], pack: Pack = torch.sparse.to_sparse_semi_structured
) -> tuple[nn.Module, list[str], Facts]:
    """A copy of `module` in half precision with the Linear layers among `names` packed; which they are, why others not.

    A layer whose sizes are no multiples of the kernel's blocks stays dense.
    """
    half = copy.deepcopy(module).half().eval()
    done: list[str] = []
    left: Facts = {}
    for name in names:
        layer = half.get_submodule(name)
        if not isinstance(layer, nn.Linear):
            left[name] = f"{type(layer).__name__}: PyTorch has 2:4 kernels for Linear alone"
            continue
        try:
            layer.weight = nn.Parameter(pack(layer.weight.detach().contiguous()), requires_grad=False)
        except RuntimeError as e:  # what PyTorch raises for sizes that it has no kernel for
            left[name] = str(e).splitlines()[0]
        else:
            done.append(name)
    return half, done, left


def on_sparse_cores(
    module: nn.Module,
    names: Iterable[str],
    inputs: tuple[Tensor, ...],
    pack: Pack = torch.sparse.to_sparse_semi_structured,
) -> Facts:
    """What becomes of `module`, which is on the device, when the 2:4 layers `names` run on sparse tensor cores.

    `largest_difference` is that of the logits from the dense network's in half precision, over their largest size.
    """
    half, done, left = packed(module, names, pack)
    facts: Facts = {"layers": list(done), "layers_left_dense": left}
    if not done:
        return facts
    dense = copy.deepcopy(module).half().eval()
    given = tuple(x.half() if x.is_floating_point() else x for x in inputs)
    with torch.no_grad():
        wanted, found = dense(*given).float(), half(*given).float()
    difference = (wanted - found).abs().max() / wanted.abs().max().clamp_min(1e-12)
    return {**facts, "largest_difference": round(float(difference), 6)}


def tried(module: nn.Module, names: Iterable[str], data: Data) -> Facts:
    """What sparse tensor cores make of `module`, which is brought back afterwards; nothing where there are none."""
    device = best_device()
    if not capable(device):
        return {}
    inputs, _ = next(iter(batches(data.split("calibration"), ROWS)))
    given = tuple(placed(torch.tensor(x), device) for x in inputs.values())
    facts = on_sparse_cores(module.to(device), names, given)
    bring_back(module)
    return {"sparse_tensor_cores": facts}
