"""What each process of test_distributed runs, by the name of a scene and of a method; process 0 prints JSON."""

import json
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import nn

from tasks.core import distributed
from tasks.core.contract import Data
from tasks.core.errors import TechniqueError
from tasks.core.fit import cross_entropy_loss, fit, shuffled
from tasks.core.masks import held
from tasks.core.recipe import FitParams
from tasks.core.shape import build_like
from tests.unit import tiny


def fitted(data: Data, block: dict[str, Any], helper: bool = False, **own: Any) -> tuple[nn.Module, dict[str, Any]]:
    torch.manual_seed(0)
    module = build_like(block, data).module
    params = FitParams(**{"epochs": 6, "lr": 0.05, "batch": 32} | own)
    loss = cross_entropy_loss(params)
    extra = nn.Linear(3, 3) if helper else None

    def with_helper(model: nn.Module, inputs: Any, labels: torch.Tensor) -> torch.Tensor:
        assert extra is not None
        return nn.functional.cross_entropy(extra(model(*inputs.values())), labels)

    facts = fit(module, data, with_helper if helper else loss, params, helper=extra)
    return module, facts


def methods(name: str) -> dict[str, Any]:
    """Train a small mlp, and look at the weights of all processes by other means than the code under test."""
    data = tiny.numbers(1200)
    own = {"gradients": name, "gradients_share": 0.1}
    module, facts = fitted(data, tiny.MLP, **own)
    flat = torch.cat([p.detach().flatten() for p in module.parameters()])
    all_of = [torch.empty_like(flat) for _ in range(dist.get_world_size())]
    dist.all_gather(all_of, flat)
    again, _ = fitted(data, tiny.MLP, **own)
    repeated = all(torch.equal(a, b) for a, b in zip(module.parameters(), again.parameters(), strict=True))
    shapes = [list(p.shape) for p in module.parameters()]
    untrained = fitted(data, tiny.MLP, epochs=1, lr=1e-9)[1]["val_accuracy"]
    equal = all(torch.equal(x, flat) for x in all_of)
    return {"facts": facts, "equal": equal, "repeated": repeated, "shapes": shapes, "untrained": untrained}


def rest(_: str) -> dict[str, Any]:
    """Batch statistics, masks, a helper, early stopping, the parts of a batch, and what must be refused."""
    data, out = tiny.pictures(), {}
    masked = build_like(tiny.CNN, data).module
    name, layer = next((n, m) for n, m in masked.named_modules() if isinstance(m, nn.Conv2d))
    params = FitParams(epochs=2, lr=0.05, batch=32, patience=1, augment=("flip", "crop"))
    with held(masked, {name: torch.rand(layer.weight.shape, generator=torch.Generator().manual_seed(0)) < 0.5}):
        fit(masked, data, cross_entropy_loss(params), params)
        fit(masked, data, cross_entropy_loss(params), params)
    out["zeros"] = int((layer.weight == 0).sum())
    out["helper"] = fitted(tiny.numbers(), tiny.MLP, helper=True)[1]["epochs_trained"]
    labels = [b for _, b in shuffled(data.train, params, torch.device("cpu"), torch.Generator().manual_seed(5))]
    parts: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(parts, [b.tolist() for b in labels])
    out["parts"] = parts
    try:
        fitted(data, tiny.CNN, batch=33)
    except TechniqueError as e:
        out["uneven"] = str(e)
    try:
        distributed.require_equal(
            nn.Linear(2, 2).requires_grad_(False).apply(lambda m: m.weight.fill_(dist.get_rank()))
        )
    except TechniqueError as e:
        out["different"] = str(e)
    return out


def gloo_threads() -> list[str]:
    """The threads of gloo that this process has, by the names that they give themselves."""
    names = ((task / "comm").read_text().strip() for task in Path("/proc/self/task").iterdir())
    return [name for name in names if "gloo" in name]


if __name__ == "__main__":
    torch.set_num_threads(1)
    with ExitStack() as stack:
        stack.enter_context(distributed.group())
        first = distributed.rank() == 0
        found = {"methods": methods, "rest": rest}[sys.argv[1]](sys.argv[2])
    if first:
        print("JSON " + json.dumps(found | {"threads_left": gloo_threads()}))
