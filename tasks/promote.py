"""The step `promote`: make the challenger the champion when every gate of params/promotion.yaml holds on `test`.

Nothing moves when a gate fails, when the evidence on disk is about another model, or when the challenger was withdrawn
by a rollback before: a nightly run that chooses it again must not undo what a person or an alarm took back.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tasks.core import artifact
from tasks.core.errors import GateError
from tasks.core.results import Chosen, Evaluation
from tasks.evidence import gates
from tasks.track.candidate import gates_of
from tasks.track.registry import Registry, Version

if TYPE_CHECKING:
    from tasks.plan.schema import Settings

REPORTED = "reports/ and results/ hold other evidence; `stillroom run` registers what they are about"


def run(settings: Settings) -> None:
    """Move `champion` to the challenger and keep the old one as `previous_champion`; GateError names what failed."""
    registry = Registry.open()
    challenger, champion = registry.find("challenger"), registry.find("champion")
    if challenger is None:
        raise GateError("no version has the alias `challenger`; `stillroom run` registers one")
    if champion is not None and champion.number == challenger.number:
        print(f"{challenger} already is the champion; nothing to do")
        return
    if "rolled_back" in challenger.tags:
        raise GateError(
            f"{challenger} was withdrawn by `stillroom rollback` on {challenger.tags['rolled_back']};"
            " change the plan, or delete its tag `rolled_back` in MLflow to allow it again"
        )
    checked = check(settings, challenger)
    print(f"{challenger} against {challenger.tag('reference')}, on test:")
    print(gates.table(checked) if checked else "params/promotion.yaml has no gates, so all hold")
    failed = [gate for gate in checked if not gate.holds]
    registry.write_tags(challenger, _tags(checked))
    if failed:
        lines = [f"  {gate.name}: found {gate.found:.4g}, allowed {gate.allowed}" for gate in failed]
        stays = f"{champion} stays the champion" if champion else "there is no champion yet"
        raise GateError("\n".join([f"{challenger} is not promoted; {stays}. Failed in params/promotion.yaml:", *lines]))
    if champion is not None:
        registry.point("previous_champion", champion)
    registry.point("champion", challenger)
    print(f"champion: {challenger}; before: {champion or 'none'}")


def check(settings: Settings, challenger: Version) -> tuple[gates.Gate, ...]:
    """Every gate with its figure; GateError when the evidence on disk is not the challenger's."""
    chosen = artifact.read_json(artifact.CHOSEN, Chosen)
    variant, reference = challenger.tag("variant"), challenger.tag("reference")
    if (chosen.variant, chosen.reference) != (variant, reference):
        raise GateError(
            f"{challenger}: registered as {variant} against {reference}, but {artifact.CHOSEN} says {chosen.variant}"
            f" against {chosen.reference}; {REPORTED}"
        )
    ours = artifact.read_json(artifact.evaluation_file(variant), Evaluation)
    if ours.model_sha256 != challenger.tag("model_sha256"):
        raise GateError(
            f"{challenger}: its model has SHA-256 {challenger.tag('model_sha256')[:12]}..., but"
            f" {artifact.evaluation_file(variant)} is about {ours.model_sha256[:12]}...; {REPORTED}"
        )
    return gates_of(settings, variant, reference)


def _tags(checked: tuple[gates.Gate, ...]) -> dict[str, str]:
    """What the gates found, for the version's page."""
    each = {f"gate.{g.name}": f"{g.found:.6g} {g.allowed} {'holds' if g.holds else 'FAILS'}" for g in checked}
    verdict = "passed" if all(gate.holds for gate in checked) else "failed"
    return {**each, "gates": verdict, "gates_checked_at": datetime.now(UTC).isoformat(timespec="seconds")}
