"""Rounds of structured pruning towards a ratio, or towards a cost in multiply-accumulates or measured time."""

from __future__ import annotations

from dataclasses import replace

from pydantic import JsonValue
from torch import Tensor, nn

from tasks.core.allocation import Goal, allocate, share_after
from tasks.core.amount import PruneParams
from tasks.core.channels import is_grouped, output_layer
from tasks.core.contract import Data, Facts, Network
from tasks.core.errors import TechniqueError
from tasks.core.importance import scores
from tasks.core.latency import ROUNDS, Race
from tasks.core.search import Found, least
from tasks.core.shape import count_macs, example, spec_of
from tasks.core.shrink import own_shares, require_kinds, shrunk, survey

MACS_STEPS = 12
LATENCY_STEPS = 6
WAY = (
    "ONNX Runtime, one thread, parent and candidate opened anew and called in turn in every round, median of the "
    "rounds' ratios; by bisection, for an interval (95 %) within the target; it depends on the machine and the minute"
)


class Pruner:
    """Prunes copies of what it is given, towards what is wanted of `parent`."""

    def __init__(self, parent: Network, data: Data, wanted: PruneParams) -> None:
        self.parent, self.data, self.wanted = parent, data, wanted
        self.inputs = example(spec_of(data), 2)
        parts = survey(parent.module, self.inputs)
        require_kinds(parts, {"heads": wanted.heads, "ffn": wanted.ffn})
        self.output = output_layer(parent.module, self.inputs)
        self.units = {part.name: part.units for part in parts}
        self.kinds = {part.name: part.kind for part in parts}
        self.part_of = {layer: part.name for part in parts for layer in part.layers}
        self.own = own_shares(parts, wanted.layers)
        self.macs = count_macs(parent.module, self.inputs)
        self.race = Race(parent, data, wanted.latency_batch) if wanted.latency_ratio is not None else None
        self.unjudged: list[str] = []

    @property
    def asked(self) -> str:
        """What was wanted, as the plan says it."""
        names = ("ratio", "macs_ratio", "latency_ratio", "heads", "ffn", "layers")
        return ", ".join(f"{n} {getattr(self.wanted, n)}" for n in names if getattr(self.wanted, n) not in (None, {}))

    def round(self, module: nn.Module, done: int) -> tuple[nn.Module, Facts]:
        """What is left of `module` after round `done` of all, and what is worth telling of it."""
        judged = scores(module, survey(module, self.inputs), self.data, self.wanted.importance)
        if self.units and not judged:
            raise TechniqueError(
                f"prune: importance {self.wanted.importance}: no batch norm follows any of {list(self.units)}; "
                "allowed here: l1, l2, taylor, random"
            )
        self.unjudged = [name for name in self.units if name not in judged]
        found: Found | None = None
        if self.wanted.macs_ratio is not None or self.race is not None:
            found = self._search(module, judged, done)
        ratio = share_after(self.wanted.ratio or 0.0, done, self.wanted.rounds) if found is None else found.ratio
        smaller = shrunk(module, self.inputs, judged, allocate(self._goals(judged, ratio, done), judged))
        told: Facts = {"ratio": round(ratio, 6), "macs_ratio": round(count_macs(smaller, self.inputs) / self.macs, 6)}
        if found is not None and self.race is not None:
            told |= {"latency_ratio": round(found.cost, 4), "tried": [[r, round(c, 4)] for r, c in found.tried]}
        return smaller, told

    def _search(self, module: nn.Module, judged: dict[str, Tensor], done: int) -> Found:
        """The least ratio whose result costs no more than this round's share of the target."""
        wanted, known = self.wanted, dict[tuple[int, ...], float]()
        target = wanted.macs_ratio if wanted.macs_ratio is not None else wanted.latency_ratio
        assert target is not None
        target **= done / wanted.rounds

        def cost(ratio: float) -> float:
            keep = allocate(self._goals(judged, ratio, done), judged)
            key = tuple(keep.values())
            if key not in known:
                known[key] = self._cost(shrunk(module, self.inputs, judged, keep))
            return known[key]

        found = least(cost, target, MACS_STEPS if self.race is None else LATENCY_STEPS)
        if found is None:
            raise TechniqueError(
                f"prune: {self.asked}: cannot be reached; with one multiple of round_to {wanted.round_to} left in "
                f"every layer {cost(1.0):.4f} of the parent stays: ask for more, or lower round_to"
            )
        return found

    def _cost(self, module: nn.Module) -> float:
        """What `module` takes over what the parent takes, in the measure that the target is given in."""
        if self.race is None:
            return count_macs(module, self.inputs) / self.macs
        return self.race.run(replace(self.parent, module=module)).ratio.high

    def _goals(self, judged: dict[str, Tensor], ratio: float, done: int) -> dict[str, Goal]:
        by_kind = {"heads": self.wanted.heads, "neurons": self.wanted.ffn, "channels": None}
        goals = {}
        for name in judged:
            kind, own = self.kinds[name], self.own.get(name)
            pool = kind if self.wanted.scope == "global" and own is None else None
            fixed = by_kind[kind] if own is None else own
            share = ratio if fixed is None else share_after(fixed, done, self.wanted.rounds)
            goals[name] = Goal(self.units[name], share, 1 if kind == "heads" else self.wanted.round_to, pool)
        return goals

    def facts(self, network: Network) -> Facts:
        """What the card says of the whole: units before and after by part, and the time, where that was asked for."""
        left = {part.name: part.units for part in survey(network.module, self.inputs)}
        units: dict[str, JsonValue] = {name: [n, left[name]] for name, n in self.units.items()}
        if self.race is None:
            return {"units": units}
        found, target = self.race.run(network, 2 * ROUNDS), self.wanted.latency_ratio
        assert target is not None
        latency: dict[str, JsonValue] = {
            "target_ratio": target,
            "ratio": round(found.ratio.value, 4),
            "ratio_interval": [round(found.ratio.low, 4), round(found.ratio.high, 4)],
            "within_target": found.ratio.high <= target,
            "parent_ms": round(found.parent_ms, 4),
            "pruned_ms": round(found.candidate_ms, 4),
            "batch": self.wanted.latency_batch,
            "how": WAY,
        }
        return {"units": units, "latency": latency}

    def why_left(self, name: str, outputs: int) -> str:
        """Why the layer called `name` gives as many `outputs` as before."""
        part = self.part_of.get(name)
        if name == self.output:
            return "gives the logits"
        if part is None:
            return self._why_no_part(name)
        if part in self.unjudged:
            return f"no batch norm follows it, which {self.wanted.importance} goes by"
        if self.own.get(part) == 0:
            return "`layers` leaves it"
        if self.kinds[part] == "heads":
            return f"the ratio takes none of its {self.units[part]} heads"
        return f"no smaller multiple of {self.wanted.round_to} is nearer to what its {outputs} outputs should become"

    def _why_no_part(self, name: str) -> str:
        if "heads" in self.kinds.values():
            return "the hidden width of a transformer stays"
        if is_grouped(self.parent.module.get_submodule(name)):
            return "a convolution in groups, or tied to one"
        return "tied to a layer that cannot get narrower"
