"""Stages in this checkout, each in a process of its own: what `stillroom run` does unless told otherwise."""

from __future__ import annotations

from flows.board import tail
from flows.order import Done
from flows.reproduce import bring_up, said, worked_s

LINES = 40


class Local:
    """The checkout that the driver is in."""

    def build(self, stage: str, force: bool) -> Done:
        """Bring one stage up to date."""
        from dvc.exceptions import DvcException
        from dvc.repo import Repo

        from flows.freshness import hush

        hush()
        try:
            how = bring_up(Repo(_wait_for_lock=True), stage, force)
        except DvcException as e:
            return Done(stage=stage, how="failed", why=said(e))
        log = tuple(tail(stage, LINES)) if how == "computed" else ()
        return Done(stage=stage, how=how, worked_s=worked_s(stage, how), log=log)

    def close(self) -> None:
        """Nothing is open."""
