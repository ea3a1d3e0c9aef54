"""Two processes on gloo: every way to send gradients, and `build` under torchrun."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from math import ceil, prod
from pathlib import Path
from typing import Any

import pytest
import torch

from tasks.core.fit import shuffled
from tasks.core.recipe import FitParams
from tests.integration.conftest import ROOT, Checkout, environment
from tests.unit import tiny

pytestmark = pytest.mark.integration
METHODS = ["none", "fp16", "bf16", "int8", "sign", "topk", "powersgd"]


def torchrun(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-addr", "127.0.0.1"]
    command += ["--master-port", str(port), *arguments]
    path = {"PYTHONPATH": str(cwd), "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, cwd=cwd, env=environment() | path, capture_output=True, text=True, timeout=300)


def together(scene: str, method: str = "none") -> dict[str, Any]:
    done = torchrun("-m", "tests.integration.train_together", scene, method)
    assert done.returncode == 0, done.stdout + done.stderr
    (line,) = [x for x in done.stdout.splitlines() if x.startswith("JSON ")]
    out: dict[str, Any] = json.loads(line.removeprefix("JSON "))
    return out


def bytes_of(method: str, shape: list[int]) -> int:
    """What one of two processes sends of one tensor: of two, a ring's sum sends it once, and so does a gather."""
    n = prod(shape)
    if method == "powersgd":
        thin = 2 * (shape[0] + n // shape[0])
        return 4 * (thin if len(shape) > 1 and thin < n else n)
    sizes = {"none": 4 * n, "fp16": 2 * n, "bf16": 2 * n, "int8": n + 4, "sign": ceil(n / 8) + 4}
    return sizes[method] if method in sizes else 8 * max(1, round(0.1 * n))


@pytest.mark.parametrize("method", METHODS)
def test_every_method_learns_alike_everywhere_and_sends_what_it_says(method: str) -> None:
    found = together("methods", method)
    facts = found["facts"]
    assert found["equal"] and found["repeated"]
    assert found["threads_left"] == []  # a thread that outlives the group can abort the process at its end
    assert facts["gradients"] == method and facts["processes"] == 2
    assert facts["sent_bytes_a_step"] == sum(bytes_of(method, shape) for shape in found["shapes"])
    assert facts["sent_bytes_a_step_float32"] == sum(4 * prod(shape) for shape in found["shapes"])
    assert facts["val_accuracy"] > max(0.75, found["untrained"] + 0.2)


def test_masks_helpers_batch_norm_and_refusals() -> None:
    found = together("rest")
    assert found["zeros"] > 0 and found["helper"] == 6
    data = tiny.pictures()
    params = FitParams(epochs=2, lr=0.05, batch=32, augment=("flip", "crop"))
    alone = shuffled(data.train, params, torch.device("cpu"), torch.Generator().manual_seed(5))
    for whole, *parts in zip((b.tolist() for _, b in alone), *found["parts"], strict=True):
        assert [x for pair in zip(*parts, strict=True) for x in pair] == whole
    assert found["uneven"] == "batch: 33 rows cannot be shared evenly by 2 processes; take a multiple of 2"
    assert "different in processes [1] than in process 0" in found["different"]


def test_build_under_torchrun_writes_once_what_one_process_writes(new_checkout: Callable[[str], Checkout]) -> None:
    checkout = new_checkout("torchrun")
    checkout.call("-m", "tasks", "prepare")
    checkout.call("-m", "tasks", "build", "baseline")
    folder = checkout.root / "artifacts/baseline"
    alone = sorted(p.name for p in folder.iterdir())
    done = torchrun("-m", "tasks", "build", "baseline", cwd=checkout.root)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("baseline: train on data") == 1
    assert sorted(p.name for p in folder.iterdir()) == alone
    facts = json.loads((folder / "card.json").read_text())["facts"]
    assert facts["processes"] == 2 and facts["gradients"] == "none"
    assert not [p.name for p in (checkout.root / "artifacts").iterdir() if p.name.startswith(".")]
    refused = torchrun("-m", "tasks", "evaluate", "baseline", cwd=checkout.root)
    assert refused.returncode != 0 and "runs in one process" in refused.stderr
    assert "RANK" not in os.environ
