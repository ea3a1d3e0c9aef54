"""The waterfall against planted numbers: which steps, what each changed, and its share of the whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks import choose, report
from tasks.core import artifact
from tasks.core.errors import ArtifactError
from tasks.core.findings import Interval
from tasks.core.results import Summary, SummaryRow
from tasks.evidence.waterfall import Waterfalls, share, waterfall, waterfalls, way
from tasks.track import steps
from tests.unit import fake_evidence, fake_project

ROWS = {  # parent, size, accuracy, latency ratio
    "baseline": ("data", 1000, 0.95, (1.0, 1.0, 1.0)),
    "pruned": ("baseline", 400, 0.93, (0.5, 0.45, 0.55)),
    "pruned_int8": ("pruned", 100, 0.94, (0.5, 0.46, 0.54)),
    "other": ("data", 800, 0.95, (0.9, 0.8, 1.1)),
}


def around(value: float) -> Interval:
    return Interval(value=value, low=value - 0.015, high=value + 0.015)


def summary(reference: str = "baseline", chosen: str = "pruned_int8") -> Summary:
    rows = tuple(
        SummaryRow(
            variant=name,
            parent=parent,
            technique="train" if parent == "data" else "prune",
            size_bytes=size,
            accuracy=accuracy,
            accuracy_drop=0.95 - accuracy,
            drop_interval=around(0.95 - accuracy),
            step_change=None if name == reference else around(accuracy - ROWS.get(parent, ROWS[reference])[2]),
            latency_ratio=Interval(value=ratio[0], low=ratio[1], high=ratio[2]),
            on_front=True,
            chosen=name == chosen,
        )
        for name, (parent, size, accuracy, ratio) in ROWS.items()
    )
    return Summary(reference=reference, chosen=chosen, threads=1, batch=1, rows=rows)


def test_each_step_is_told_against_the_one_before_it() -> None:
    first, pruned, int8 = waterfall(summary(), "pruned_int8").steps
    assert first.variant == "baseline" and first.change is None
    assert pruned.change is not None and int8.change is not None
    assert pruned.change.size_bytes == -600 and pruned.change.size_share == pytest.approx(600 / 900)
    assert pruned.change.accuracy == pytest.approx(-0.02) and pruned.change.accuracy_share == pytest.approx(2.0)
    assert int8.change.accuracy_share == pytest.approx(-1.0)
    assert pruned.change.accuracy_interval.high == pytest.approx(-0.005) and pruned.change.accuracy_significant
    assert not int8.change.accuracy_significant
    assert pruned.change.latency.low == pytest.approx(0.45) and pruned.change.latency_significant
    assert int8.change.before == "pruned" and int8.change.latency.value == pytest.approx(1.0)
    assert not int8.change.latency_significant and int8.change.latency_share == pytest.approx(0.0)


def test_changes_add_up_to_the_whole_way() -> None:
    steps_ = waterfall(summary(), "pruned_int8").steps
    changes = [s.change for s in steps_ if s.change]
    assert sum(c.size_bytes for c in changes) == steps_[-1].size_bytes - steps_[0].size_bytes
    for of in ("accuracy_share", "size_share", "latency_share"):
        assert sum(getattr(c, of) for c in changes) == pytest.approx(1.0)
    assert share(0.5, 0.0) is None


def test_a_chain_that_does_not_pass_the_reference_begins_with_it() -> None:
    assert [row.variant for row in way(summary(), "other")] == ["baseline", "other"]
    assert [row.variant for row in way(summary("pruned"), "pruned_int8")] == ["pruned", "pruned_int8"]
    assert [row.variant for row in way(summary("pruned"), "baseline")] == ["pruned", "baseline"]


def test_every_leaf_but_the_reference_has_one() -> None:
    assert [leaf.variant for leaf in waterfalls(summary()).leaves] == ["pruned_int8", "other"]
    assert [leaf.variant for leaf in waterfalls(summary("other")).leaves] == ["pruned_int8"]
    with pytest.raises(ArtifactError, match="did you mean 'pruned'"):
        waterfall(summary(), "prunde")


def test_report_writes_it_and_twice_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    fake_project.make_project()
    fake_evidence.plant()
    settings = fake_project.settings()
    choose.run(settings)
    report.run(settings)
    once = artifact.WATERFALL.read_bytes()
    report.run(settings)
    assert artifact.WATERFALL.read_bytes() == once
    (leaf,) = artifact.read_json(artifact.WATERFALL, Waterfalls).leaves
    assert [step.variant for step in leaf.steps] == ["baseline", "student", "student_int8"]


def test_mlflow_gets_a_line_a_step_and_the_way_to_the_chosen_one() -> None:
    table = steps.columns(summary())
    assert table["leaf"] == ["pruned_int8"] * 3 + ["other"] * 2
    assert table["size_bytes_change"] == [None, -600, -300, None, -200]
    assert {len(column) for column in table.values()} == {5}
    text = steps.markdown(summary())
    assert "| pruned_int8 | prune | +1.00 [-0.50, +2.50] | -0.3 | 1.00 [0.88, 1.14], no significant change |" in text
    assert steps.markdown(summary(chosen="baseline")) == ""
    only = summary("baseline", "baseline").model_copy(update={"rows": summary().rows[:1]})
    assert steps.columns(only) == {}
