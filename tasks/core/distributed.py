"""Training in several processes, one a GPU or a share of the cores, as `torchrun` starts them.

Every process holds the whole network and draws the same rows in the same order; each computes the gradients of its
part of a batch. Process 0 alone prints and writes. With one process every function here does nothing.
"""

from __future__ import annotations

import gc
import hashlib
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout
from importlib import import_module
from pathlib import Path

import psutil
import torch
import torch.distributed as dist
from torch import Tensor, nn

from tasks.core.errors import TechniqueError

SET_BY_TORCHRUN = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
LOOPBACK = ("127.0.0.1", "localhost")


def processes() -> int:
    """How many processes train together; 1 outside `group`."""
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    """Which of them this is, 0 to `processes()` - 1."""
    return dist.get_rank() if dist.is_initialized() else 0


@contextmanager
def group() -> Iterator[None]:
    """Join the processes that `torchrun` started, if it did; all but the first are silent inside.

    NCCL where every process of this machine has a GPU of its own, else gloo.
    """
    if any(name not in os.environ for name in SET_BY_TORCHRUN) or os.environ["WORLD_SIZE"] == "1":
        yield
        return
    local = int(os.environ.get("LOCAL_RANK", "0"))
    gpus = torch.cuda.device_count()
    if gpus:
        torch.cuda.set_device(local % gpus)
    own = gpus >= int(os.environ.get("LOCAL_WORLD_SIZE", os.environ["WORLD_SIZE"]))
    if os.environ["MASTER_ADDR"] in LOOPBACK:
        os.environ.setdefault("GLOO_SOCKET_IFNAME", loopback_interface())
    _import_what_would_hold_the_group()
    dist.init_process_group("nccl" if own else "gloo")
    try:
        with ExitStack() as stack:
            if rank():
                stack.enter_context(redirect_stdout(stack.enter_context(Path(os.devnull).open("w", encoding="utf-8"))))
            yield
        dist.barrier()  # a process that leaves while another still listens to it can abort that one
    finally:
        gc.collect()  # a DistributedDataParallel that waits in a cycle holds the group
        dist.destroy_process_group()


def _import_what_would_hold_the_group() -> None:
    """Import, before there is a group, the module whose functions take the group of that moment as a default.

    DistributedDataParallel imports it later: the group would then outlive `destroy_process_group`, and gloo's threads
    run on while the interpreter ends, which is when a process was seen to abort ("terminate called without an active
    exception"). Without a group the default is None, which means the same.
    """
    import_module("torch.distributed.nn.functional")


def loopback_interface() -> str:
    """The name of the network interface of 127.0.0.1: gloo would else listen on one that others can reach."""
    found = (name for name, own in psutil.net_if_addrs().items() if any(a.address == LOOPBACK[0] for a in own))
    return next(found, "lo0" if sys.platform == "darwin" else "lo")


def require_even(rows: int) -> None:
    """TechniqueError unless a batch of `rows` falls into equal parts: their gradients are averaged without weights."""
    n = processes()
    if rows % n:
        raise TechniqueError(f"batch: {rows} rows cannot be shared evenly by {n} processes; take a multiple of {n}")


def own_part(x: Tensor) -> Tensor:
    """This process's rows of a batch: every n-th, because a batch is in the order of the data, maybe of the labels."""
    return x if processes() == 1 else x[rank() :: processes()].contiguous()


def mean(value: float) -> float:
    """The mean of the processes' values; the same number in all of them."""
    if processes() == 1:
        return value
    total = torch.tensor([value], dtype=torch.float64, device=_device())
    dist.all_reduce(total)
    return float(total) / processes()


def told(value: float) -> float:
    """Process 0's value, in all of them: none can decide otherwise than the others."""
    if processes() == 1:
        return value
    found = torch.tensor([value], dtype=torch.float64, device=_device())
    dist.broadcast(found, 0)
    return float(found)


def share_buffers(module: nn.Module) -> None:
    """Give all processes process 0's buffers: batch statistics are of each process's own part."""
    if processes() > 1:
        for buffer in module.buffers():
            dist.broadcast(buffer, 0)


def require_equal(module: nn.Module) -> None:
    """TechniqueError unless `module`, on the processor, has the same weights and buffers everywhere, to the bit."""
    if processes() == 1:
        return
    digest = hashlib.sha256()
    for tensor in module.state_dict().values():
        digest.update(tensor.detach().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    own = torch.frombuffer(bytearray(digest.digest()), dtype=torch.uint8).to(_device())
    found = [torch.empty_like(own) for _ in range(processes())]
    dist.all_gather(found, own)
    other = [k for k, theirs in enumerate(found) if not torch.equal(theirs, found[0])]
    if other:
        raise TechniqueError(
            f"the network came out different in processes {other} than in process 0; "
            "train on processors and GPUs of one kind, with one version of PyTorch"
        )


def _device() -> torch.device:
    """Where the group's collectives want small tensors."""
    return torch.device("cuda" if dist.get_backend() == "nccl" else "cpu")
