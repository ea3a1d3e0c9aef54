"""What a request is answered by, as one immutable snapshot: read once a request, replaced as a whole, never changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from serving import metrics
from serving.ask import VARIANT
from serving.control.state import State
from serving.counts import Counts
from serving.engine import Engine
from serving.package import ROLES, Package, Role
from serving.reference import Seen
from serving.route import route

MODEL = "X-Stillroom-Model"
GENERATION = "X-Stillroom-Generation"


@dataclass(frozen=True)
class Live:
    """One generation as this worker serves it; generation 0 when there is no control row."""

    generation: int
    version: str
    share: float
    salt: str
    package: Package
    engine: Engine
    counts: Counts
    seen: Seen
    state: State | None = None  # the whole row

    @classmethod
    def of(cls, engine: Engine, state: State | None = None, *, share: float | None = None) -> Live:
        """A loaded package in the state that the control row says; without one, as `share` or its rollout.json says."""
        package, salt = engine.package, engine.package.rollout.salt
        counts, seen = Counts(package.labels), Seen(package.reference)
        if state is not None:
            return cls(state.generation, state.version, state.share, salt, package, engine, counts, seen, state)
        share = package.rollout.treatment_share if share is None else share
        return cls(0, "candidate", share, salt, package, engine, counts, seen)

    @cached_property
    def headers(self) -> Mapping[Role, tuple[tuple[bytes, bytes], ...]]:
        """What every answer of a role says of it, as ASGI takes headers."""
        return {
            role: tuple(
                (name.lower().encode(), value.encode("latin-1"))
                for name, value in (
                    (VARIANT, role),
                    (MODEL, self.package.name(role)),
                    (GENERATION, str(self.generation)),
                )
            )
            for role in ROLES
        }

    def role(self, user_id: str | None) -> Role:
        """Who answers this user."""
        return route(self.salt, self.share, user_id)

    def publish(self, before: Live | None) -> None:
        """Tell Prometheus what is served now, instead of `before`."""
        metrics.SHARE.set(self.share)
        metrics.GENERATION.set(self.generation)
        if before is not None and before.package is not self.package:
            _models(before.package, 0)
        _models(self.package, 1)


def _models(package: Package, value: int) -> None:
    for role in ROLES:
        metrics.MODEL.labels(role, package.name(role), package.sha256(role)).set(value)
