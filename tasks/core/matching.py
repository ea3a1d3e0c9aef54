"""Making a student's hidden layers like a teacher's: what is compared, and by which loss.

features   Romero et al., *FitNets*, 2014 (arXiv:1412.6550): features, through a learned projection
cosine     Sanh et al., *DistilBERT*, 2019 (arXiv:1910.01108): the direction of features of the same width
map        Zagoruyko & Komodakis, *Paying More Attention to Attention*, 2016 (arXiv:1612.03928): where it looks
attention  Wang et al., *MiniLM*, 2020 (arXiv:2002.10957): which tokens attend to which; `relations` adds how the values
           relate. Heads of different number are split alike, as MiniLMv2 does (arXiv:2012.15828)

Shapes: N = batch, S and T = features of student and teacher, L = tokens, A = heads, D = features of a head. Padding
(mask_NL of 0 and 1) is left out of every mean over tokens.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn

from tasks.core.errors import TechniqueError, nearest
from tasks.core.shape import body_of

TOKENS = ("query", "key", "value"), ("q_lin", "k_lin", "v_lin"), ("q_proj", "k_proj", "v_proj")
HEADS = ("num_attention_heads", "n_heads", "num_heads")


class Attention(NamedTuple):
    """What an attention layer works on (N, L, features), and its number of heads."""

    query: Tensor
    key: Tensor
    value: Tensor
    heads: int


def token_mean(x: Tensor, mask_NL: Tensor | None) -> Tensor:
    """The mean of `x`; of (N, L) or (N, L, features) over the tokens that are no padding."""
    if mask_NL is None or x.shape[:2] != mask_NL.shape or x.dim() not in (2, 3):
        return x.mean()
    weight_NL = mask_NL.to(x.dtype)
    by_token_NL = x if x.dim() == 2 else x.mean(-1)
    return (by_token_NL * weight_NL).sum() / weight_NL.sum().clamp(min=1)


def hidden_loss(student: Tensor, teacher: Tensor, projection: nn.Module, mask_NL: Tensor | None = None) -> Tensor:
    """Half the mean squared difference between the projected student features and the teacher's (FitNets, eq. 3).

    Zero when the projection makes them equal. Shapes: (N, S, H, W) and (N, T, H, W), or (..., S) and (..., T).
    """
    difference: Tensor = projection(student.float()) - teacher.float()
    return 0.5 * token_mean(difference.square(), mask_NL)


def cosine_loss(student: Tensor, teacher: Tensor, mask_NL: Tensor | None = None) -> Tensor:
    """One minus the mean cosine of the angle between features; zero when they point alike. Shapes as `hidden_loss`."""
    axis = 1 if student.dim() == 4 else -1
    return token_mean(1 - nn.functional.cosine_similarity(student.float(), teacher.float(), dim=axis), mask_NL)


def attention_map(features_NCHW: Tensor) -> Tensor:
    """(N, H*W) the sum of squares over channels, of length one: where the layer looks (eq. 1 with p = 2)."""
    return nn.functional.normalize(features_NCHW.float().square().sum(1).flatten(1), dim=1)


def map_loss(student_NCHW: Tensor, teacher_NCHW: Tensor) -> Tensor:
    """The squared distance between the attention maps, meaned over rows: 0 when they agree, at most 2."""
    return (attention_map(student_NCHW) - attention_map(teacher_NCHW)).square().sum(1).mean()


def relation(a_NLF: Tensor, b_NLF: Tensor, heads: int, mask_NL: Tensor | None) -> Tensor:
    """(N, A, L, L) the log-softmax of a's scaled products with b, head by head; no weight falls on padding."""
    a_NALD, b_NALD = (x.float().reshape(*x.shape[:2], heads, -1).transpose(1, 2) for x in (a_NLF, b_NLF))
    scores_NALL = a_NALD @ b_NALD.transpose(-1, -2) / a_NALD.shape[-1] ** 0.5
    if mask_NL is not None:
        scores_NALL = scores_NALL.masked_fill(mask_NL[:, None, None, :] == 0, -1e9)
    return nn.functional.log_softmax(scores_NALL, dim=-1)


def relation_loss(student_NALL: Tensor, teacher_NALL: Tensor, mask_NL: Tensor | None) -> Tensor:
    """KL(teacher || student) of the rows of two relations, meaned over heads and tokens (MiniLM, eq. 3)."""
    kl_NAL = (teacher_NALL.exp() * (teacher_NALL - student_NALL)).sum(-1)
    return token_mean(kl_NAL.mean(1), mask_NL)


def attention_loss(student: Attention, teacher: Attention, mask_NL: Tensor | None, *, values: bool) -> Tensor:
    """The query-key relations' loss and, if asked, that of the values with themselves, at the student's head count."""
    pairs = [((student.query, student.key), (teacher.query, teacher.key))]
    pairs += [((student.value, student.value), (teacher.value, teacher.value))] if values else []
    heads = student.heads
    losses = [relation_loss(relation(*s, heads, mask_NL), relation(*t, heads, mask_NL), mask_NL) for s, t in pairs]
    return torch.stack(losses).sum()


def layer_named(module: nn.Module, layer: str, role: str) -> nn.Module:
    """A layer of the network by its name; TechniqueError, with the nearest name, when there is none."""
    layers: dict[str, nn.Module] = {name: m for name, m in body_of(module).named_modules() if name}
    if layer not in layers:
        known = f"it has {sorted(layers)}{nearest(layer, layers)}"
        raise TechniqueError(f"distill: no layer {layer!r} in the {role}; {known}")
    return layers[layer]


@contextmanager
def watching(module: nn.Module, layer: str, role: str) -> Iterator[list[Tensor]]:
    """A list that holds, after each forward pass of `module`, the newest output of `layer`; of several the first."""
    seen: list[Tensor] = []

    def keep(_: nn.Module, __: tuple[Tensor, ...], out: Tensor | tuple[Tensor, ...]) -> None:
        seen[:] = [out if isinstance(out, Tensor) else out[0]]

    hook = layer_named(module, layer, role).register_forward_hook(keep)
    try:
        yield seen
    finally:
        hook.remove()


@contextmanager
def watching_attention(module: nn.Module, layer: str, role: str) -> Iterator[list[Attention]]:
    """As `watching`, of what goes into the attention of `layer`; TechniqueError when its parts cannot be told apart."""
    found = layer_named(module, layer, role)
    parts = next((names for names in TOKENS if all(hasattr(found, name) for name in names)), None)
    heads = next((int(getattr(found, name)) for name in HEADS if hasattr(found, name)), 0)
    if parts is None or not heads:
        inside = [n for n, m in body_of(module).named_modules() if any(all(hasattr(m, k) for k in t) for t in TOKENS)]
        raise TechniqueError(
            f"distill: {layer!r} in the {role} is a {type(found).__name__}; allowed: a layer with the projections "
            f"{' or '.join('/'.join(names) for names in TOKENS)} and a number of heads, such as {inside or 'none here'}"
        )
    seen: list[Attention] = []
    latest: dict[str, Tensor] = {}

    def keep(name: str, out: Tensor) -> None:
        latest[name] = out
        if len(latest) == 3:
            seen[:] = [Attention(latest[parts[0]], latest[parts[1]], latest[parts[2]], heads)]

    hooks = [
        getattr(found, name).register_forward_hook(lambda _, __, out, name=name: keep(name, out)) for name in parts
    ]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()
