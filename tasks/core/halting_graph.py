"""A network with adaptive stages as one ONNX graph: a row that has halted is not computed further in its stage.

Every unit becomes a segment of a chain of `tasks.core.stitch`, which hands on what the rows that go on have: what the
unit gave, the mean so far, and the sum of their halting scores. Shapes: N = rows, L = units of a stage, C = classes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from tasks.core.arrays import batches
from tasks.core.contract import Data
from tasks.core.errors import TechniqueError
from tasks.core.export import LOGITS, PARITY_ROWS, at_every_level, relative_difference, session, to_onnx
from tasks.core.graph import plain
from tasks.core.halting import AdaptiveNet, AdaptiveStage, each
from tasks.core.shape import example, spec_of
from tasks.core.stitch import Piece, chain, inlined, model

STEP = ("state_mean", "go_on", "state_x", "state_sum")
"""What a segment gives. No plain words: the exporter calls what it finds inside `mean` or `sum` as well."""
STATE = ("state_x", "state_mean", "state_sum")
ROUNDING = 1e-4


class Step(nn.Module):
    """One unit with its halting score: the answer of a row that halts here, whether it goes on, and its state.

    Until a row has halted, what would be its answer is its mean so far.
    """

    def __init__(self, lead: nn.Module, unit: nn.Module, halt: nn.Module | None, epsilon: float) -> None:
        """`lead` stands before the unit; `halt` is None for a stage's last unit."""
        super().__init__()
        self.lead, self.unit, self.halt, self.epsilon = lead, unit, halt, epsilon

    def forward(
        self, x: Tensor, mean: Tensor | None = None, total: Tensor | None = None
    ) -> Tensor | tuple[Tensor, ...]:
        """From what the unit before gave, the mean and the sum of scores so far; from `x` alone at the first unit."""
        x = self.unit(self.lead(x))
        if self.halt is None:
            assert mean is not None and total is not None, "a stage of one unit"
            return mean + x * each(1 - total, x)
        score = self.halt(x)
        # Not `len(x)`: the exporter would take the size of the batch for a constant.
        before = torch.zeros_like(score) if total is None else total
        upto = before + score
        go_on = upto < 1 - self.epsilon
        share = x * each(torch.where(go_on, score, 1 - before), x)
        mean = share if mean is None else mean + share
        return mean, go_on, x, upto


def stage_steps(stage: AdaptiveStage, lead: nn.Module, x: Tensor, name: str) -> list[onnx.ModelProto]:
    """The units of a stage as segments; `lead` goes into the first, whose input is `x`, called `name`."""
    state: tuple[Tensor, ...] = (x,)
    out, names = [], [name]
    for unit, halt in zip(stage.units, [*stage.halts, None], strict=True):
        step = Step(lead, unit, halt, stage.epsilon).eval()
        proto = to_onnx(step, state, names, [STEP[0]] if halt is None else [*STEP])
        if halt is not None:
            given = {o.name: o for o in proto.graph.output}
            del proto.graph.output[:]
            # The mean is the answer of a row that halts here, and carried by one that does not.
            proto.graph.output.extend(given[n] for n in (*STEP[:2], *STATE))
            with torch.no_grad():
                mean, _, at, total = step(*state)
            state = (at, mean, total)
        out.append(proto)
        lead, names = nn.Identity(), [f"{each_name}_in" for each_name in STATE]
    return out


def stitched(net: AdaptiveNet, data: Data) -> onnx.ModelProto:
    """The network, in eval mode, as one ONNX model: raw input to `logits` (N, C)."""
    (raw,) = example(spec_of(data), 2)
    (feed,) = data.train.inputs
    first: onnx.ModelProto | None = None
    pieces: list[Piece] = []
    x, lead = raw, nn.Sequential(net.eval().front)
    for name, layer in net.layers.named_children():
        if not isinstance(layer, AdaptiveStage):
            lead.append(layer)
            continue
        steps = stage_steps(layer, lead, x, feed)
        first = first or steps[0]
        with torch.no_grad():
            x = layer(lead(x))
        pieces.append(chain(steps, [feed], f"stage_{name}/", f"stage_{name}"))
        feed, lead = f"stage_{name}", nn.Sequential()
    assert first is not None, "no stage"
    tail = to_onnx(lead, (x,), [feed], [LOGITS])
    return plain(model([*pieces, inlined(tail, "tail/", {feed: feed, LOGITS: LOGITS})], first, len(data.classes)))


def clear(scores: Sequence[Tensor], epsilon: float) -> Tensor:
    """(N,) whether a row's sums of scores all stay off 1 - epsilon by more than rounding."""
    off = [((s[:, :-1].cumsum(1) - (1 - epsilon)).abs() > ROUNDING).all(1) for s in scores]
    return torch.stack(off).all(0)


def check(proto: onnx.ModelProto, net: AdaptiveNet, epsilon: float, data: Data) -> None:
    """TechniqueError unless the graph, however optimized, answers rows of val as the network with all units does."""
    inputs, _ = next(batches(data.split("val"), PARITY_ROWS))
    with torch.no_grad():
        logits_NC, scores = net.eval().scored(*(torch.tensor(x) for x in inputs.values()))
    # A row within rounding of the threshold may halt one unit earlier or later.
    kept_N = clear(scores, epsilon).numpy()
    reference_NC = logits_NC.numpy()
    if not kept_N.any():
        raise TechniqueError("act: all rows halt within rounding of 1 - epsilon, so the graph cannot be checked")
    at_every_level(
        lambda level: relative_difference(
            np.asarray(session(proto, level).run([LOGITS], inputs)[0])[kept_N], reference_NC[kept_N]
        ),
        "act: the stitched graph and the network",
    )
