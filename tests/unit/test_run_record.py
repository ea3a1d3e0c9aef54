"""What a flow run writes down of its stages, and what it keeps of the runs before it."""

from __future__ import annotations

from flows.board import Entry
from flows.record import stage_run
from tasks.core.last_run import StageRun


def test_a_computed_stage_has_its_part_of_the_energy() -> None:
    found = stage_run(Entry(state="computed", began=1.0, seconds=10.0, worked_s=7.0), None, 20.0)
    assert (found.computed_s, found.computed_cpu_s, found.computed_j) == (10.0, 7.0, 200.0)


def test_a_reused_stage_keeps_what_it_took_when_it_was_computed() -> None:
    before = StageRun(state="computed", seconds=10.0, computed_s=10.0, computed_cpu_s=7.0, computed_j=200.0)
    found = stage_run(Entry(state="reused", began=1.0, seconds=0.2), before, 20.0)
    assert (found.state, found.seconds, found.computed_s, found.computed_j) == ("reused", 0.2, 10.0, 200.0)
    assert found.computed_cpu_s == 7.0
    assert stage_run(Entry(state="restored", began=1.0, seconds=0.2), None, 20.0).computed_j is None


def test_an_old_measurement_is_not_kept_for_a_stage_that_was_computed_anew() -> None:
    before = StageRun(state="computed", seconds=10.0, computed_s=10.0, computed_cpu_s=7.0, computed_j=200.0)
    found = stage_run(Entry(state="computed", began=1.0, seconds=5.0), before, None)
    assert (found.computed_j, found.computed_cpu_s) == (None, None)
