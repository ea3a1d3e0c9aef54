"""The judge at work: once a second it reads the row and the counts, says what it found, and moves the row or tells.

It keeps nothing that a restart would lose for good: counts come from the store as sums of a generation, so a new keeper
has all of the evidence but the later starts of each e-process (watch.py), and never an alarm too many for it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

from serving.control.state import State
from serving.control.store import Store, StoreError
from serving.keeper import changes
from serving.keeper.audit import Audit
from serving.keeper.changes import Advance, Change, Unfit
from serving.keeper.decisions import Decisions
from serving.keeper.exposition import Exposition, Snapshot, counted
from serving.keeper.judge.drift import Distance
from serving.keeper.judge.finding import Finding
from serving.keeper.moves import Moves
from serving.keeper.notify import Event, Notice, Notifier
from serving.keeper.packages import Packages
from serving.keeper.stages import Decision, Evidence, decide, waits
from serving.keeper.verdict import Verdict
from serving.package import Package, PackageError

log = logging.getLogger("stillroom.keeper")
BY = "judge"
SEEN_S = 10.0  # a worker reports twice a second


class Judge:
    """Judges one store's rollout. `findings` is what it found last; `exposition` what Prometheus reads.

    `decisions` are counted, those that others make beside it, too.
    """

    def __init__(self, store: Store, package: Package, notifier: Notifier | None = None) -> None:
        """`package` is the one that the keeper was started with; another one is read when the row is about it."""
        self.findings: tuple[Finding, ...] = ()
        self.exposition = Exposition()
        self.notifier = notifier or Notifier()
        self._store, self._audit = store, Audit(store)
        self.decisions = Decisions()
        self._moves, self._packages = Moves(store, self._audit, self.decisions), Packages(package)
        self._verdict: Verdict | None = None
        self._told: set[str] = set()  # alarms that are not over yet

    def tick(self) -> None:
        """Judge once; StoreError when the store is away: then nothing is decided, and all is known again later."""
        self._audit.flush()
        row, now_s = self._store.read(), self._store.now_s()
        if row is None:
            return
        try:
            verdict = self._of(row, now_s)
        except PackageError as e:
            self.findings = (Finding(rule="package", outcome="unclear", sentence=f"nothing can be judged: {e}"),)
            self._alarm("stillroom.alarm", row, now_s, self.findings[0])
            self._show(row, (), {}, now_s)
            return
        self._told.discard("package")
        known = verdict.see(self._store.tallies(row.generation), now_s)
        self.findings = tuple(known.findings)
        for drift in (f for f in known.findings if f.rule not in known.harms):
            if drift.outcome == "harm":
                self._alarm("stillroom.drift", row, now_s, drift)
            elif drift.outcome == "within":
                self._told.discard(drift.rule)
        self._show(row, waits(row, verdict.rollout, known, now_s), verdict.distances(), now_s)
        decision = decide(row, verdict.rollout, known, now_s)
        if decision is not None:
            self._act(row, decision, known, now_s)

    def _of(self, row: State, now_s: float) -> Verdict:
        """The row's verdict, begun anew with every change of the row."""
        if self._verdict is None or self._verdict.row != row:
            package = self._packages.of(row, now_s)
            if self._verdict is not None and self._verdict.row.package_sha256 != row.package_sha256:
                self._told.clear()
            self._verdict = Verdict(row, package)
        return self._verdict

    def _act(self, row: State, decision: Decision, known: Evidence, now_s: float) -> None:
        """Move the row, write down why, and tell. Who was there first has the say: then judge what they did."""
        numbers = known.numbers()
        why, expected = decision.reason, row.generation
        try:
            if decision.kind == "rollback":
                asked = Change(expected=expected, by=BY, reason=why)
                new = self._moves.change("rollback", BY, asked, changes.rolled_back, numbers)
            else:
                further = Advance(expected=expected, by=BY, reason=why, stage=decision.stage, share=decision.share)
                new = self._moves.change("advance", BY, further, changes.advanced, numbers)
        except Unfit as e:
            log.info("judge: %s", e)
            return
        except StoreError as e:
            if decision.kind == "rollback":
                said = f"harm is proven, and the row cannot be changed ({e}): {decision.reason}"
                self._alarm("stillroom.alarm", row, now_s, Finding(rule="row", outcome="harm", sentence=said))
            raise
        log.info("judge: generation %d: %s, share %g: %s", new.generation, decision.kind, new.share, decision.reason)
        self._told.discard("row")
        event: Event = "stillroom.rollback" if decision.kind == "rollback" else "stillroom.advance"
        self._tell(Notice(event=event, text=decision.reason, at_s=now_s, row=new, numbers=numbers))

    def _alarm(self, event: Event, row: State, now_s: float, found: Finding) -> None:
        """Write down and tell what a person or a flow should look at, once until it is over."""
        if found.rule in self._told:
            return
        self._told.add(found.rule)
        self.decisions.count("alarm", BY)
        numbers: dict[str, float | str] = {"version": row.version, **found.numbers}
        self._audit.write("alarm", BY, row.generation, f"{found.rule}: {found.sentence}", **numbers)
        log.warning("judge: generation %d: %s: %s", row.generation, found.rule, found.sentence)
        text = f"{found.rule}: {found.sentence}"
        self._tell(Notice(event=event, text=text, at_s=now_s, row=row, numbers=found.numbers))

    def _tell(self, notice: Notice) -> None:
        self.notifier.tell(self._packages.last.rollout.notify, notice)

    def _show(self, row: State, waiting: tuple[str, ...], distances: Mapping[str, Distance], now_s: float) -> None:
        live = [p for p in self._store.presences() if now_s - p.seen_s <= SEEN_S]
        workers = {
            "live": len(live),
            "behind": sum(p.generation != row.generation for p in live),
            "failing": sum(bool(p.error) for p in live),
        }
        self.exposition.snapshot = Snapshot(
            row=row,
            findings=self.findings,
            waits=waiting,
            distances=distances,
            workers=workers,
            decisions=self.decisions.so_far(),
            notices=counted({name: post.counts for name, post in self.notifier.posts.items()}),
            judged_s=now_s,
        )
