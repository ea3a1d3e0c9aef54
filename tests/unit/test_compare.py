"""`stillroom compare`: verdicts that follow their intervals, on planted numbers."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from flows import compare as comparing
from flows.comparison import Comparison, Pair, of_revisions, of_variants
from flows.difference import judged
from flows.measured import Results, of_this_checkout, results
from tasks import choose
from tasks.core import artifact
from tasks.core.errors import ArtifactError
from tasks.core.findings import Interval
from tasks.core.results import Bench
from tests.unit import fake_evidence, fake_project


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def measured(changes: object = None, sha: str | None = None) -> Results:
    fake_evidence.plant(changes)  # type: ignore[arg-type]
    choose.run(fake_project.settings())
    if sha:
        path = artifact.evaluation_file("baseline")
        path.write_text(path.read_text().replace("0" * 64, sha))
    return results(of_this_checkout, "here")


def verdicts(pair: Pair) -> dict[tuple[str, int | None], str]:
    return {(d.metric, d.batch): d.verdict for d in pair.differences}


def test_two_variants_of_one_run() -> None:
    found = of_variants(measured(), "baseline", "student")
    assert found.of == "variants" and not found.only_a
    said = verdicts(found.pairs[0])
    assert said["test_accuracy", None] == "no significant change"  # a point, on 60 rows
    assert said["size_bytes", None] == "better"
    assert said["latency_p50_ms", 1] == said["latency_p50_ms", 4] == "better"
    latency = found.pairs[0].differences[-2]
    assert latency.change is not None and latency.change.value == pytest.approx(0.5)
    assert latency.change.low == pytest.approx(0.475)


def test_latency_is_compared_round_by_round_where_one_benchmark_timed_both() -> None:
    here = measured()
    rounds = {
        name: {
            at: p.model_copy(update={"round_ms": tuple(p.p50_ms * k for k in range(1, 21))}) for at, p in each.items()
        }
        for name, each in here.timings.items()
    }
    found = of_variants(here.model_copy(update={"timings": rounds}), "student", "student_int8")
    latency, tail = found.pairs[0].differences[-2:]
    assert not tail.paired and "p95 by way of the reference" in comparing.basis(found)
    assert latency.paired and latency.change == Interval(value=0.4, low=0.4, high=0.4)
    assert "round by round" in comparing.basis(found)
    apart = of_variants(here, "student", "student_int8")
    assert not apart.pairs[0].differences[-2].paired and "by way of the reference" in comparing.basis(apart)


def test_p95_is_compared_with_its_interval_by_way_of_the_reference() -> None:
    here = measured()
    tail = of_variants(here, "student", "student_int8").pairs[0].differences[-1]
    assert (tail.metric, tail.a, tail.b, tail.verdict) == ("latency_p95_ms", 0.7, 0.3, "better")
    assert tail.change is not None and tail.change.value == pytest.approx(0.3 / 0.7)
    assert tail.change.low < 0.95 * 0.3 / 0.7 and tail.change.high > 1.05 * 0.3 / 0.7  # both sides' luck
    old = {
        name: {at: p.model_copy(update={"p95_ratio": None}) for at, p in each.items()}
        for name, each in here.timings.items()
    }
    told = verdicts(of_variants(here.model_copy(update={"timings": old}), "student", "student_int8").pairs[0])
    assert told["latency_p95_ms", 1] == "not comparable" and told["latency_p50_ms", 1] == "better"


def test_each_engine_is_compared_with_itself_and_named_where_there_is_another() -> None:
    measured()
    bench = artifact.read_json(artifact.BENCH, Bench)
    slow = {"baseline": 1.0, "student": 3.0, "student_int8": 3.0}
    both = {
        name: (
            *timings,
            *(
                t.model_copy(
                    update={"engine": "openvino", "p50_ms": 7 * t.p50_ms, "ratio": fake_evidence.near(slow[name])}
                )
                for t in timings
            ),
        )
        for name, timings in bench.timings.items()
    }
    text = io.StringIO()
    comparing.show(Console(file=text, width=100), of_variants(results(of_this_checkout, "here"), "baseline", "student"))
    assert "onnxruntime" not in text.getvalue()
    artifact.write_json(artifact.BENCH, bench.model_copy(update={"timings": both}))
    found = of_variants(results(of_this_checkout, "here"), "baseline", "student")
    said = {(d.engine, d.batch): (d.a, d.verdict) for d in found.pairs[0].differences if d.metric == "latency_p50_ms"}
    assert said == {
        ("onnxruntime", 1): (1.0, "better"),
        ("onnxruntime", 4): (1.0, "better"),
        ("openvino", 1): (7.0, "worse"),
        ("openvino", 4): (7.0, "worse"),
    }
    comparing.show(Console(file=text, width=160), found)
    for engine in ("onnxruntime", "openvino"):
        assert f"latency p50 ms, {engine}, 1 thread(s), batch 1 " in text.getvalue()


def test_results_that_name_no_engine_are_of_onnx_runtime() -> None:
    measured()
    known = json.loads(artifact.BENCH.read_text())
    for timings in known["timings"].values():
        for each in timings:
            del each["engine"], each["p95_ratio"]
    artifact.write_json(artifact.BENCH, known)
    assert list(results(of_this_checkout, "at v1").timings["student"]) == [("onnxruntime", 1, 1), ("onnxruntime", 1, 4)]


def test_a_drop_that_the_rows_can_tell_is_worse() -> None:
    found = of_variants(measured({"student": {"accuracy": 0.5}}), "baseline", "student")
    assert verdicts(found.pairs[0])["test_accuracy", None] == "worse"


def test_accuracy_is_compared_row_by_row_where_the_rows_are_the_same() -> None:
    here = measured()
    paired = of_variants(here, "baseline", "student").pairs[0].differences[0]
    unmarked = {name: one.model_copy(update={"marks": None}) for name, one in here.measured.items()}
    apart = of_variants(here.model_copy(update={"measured": unmarked}), "baseline", "student").pairs[0].differences[0]
    assert paired.paired and not apart.paired and paired.change is not None and apart.change is not None
    assert paired.change.high - paired.change.low < apart.change.high - apart.change.low
    text = io.StringIO()
    comparing.show(Console(file=text, width=100), of_variants(here, "baseline", "student"))
    assert "row by row" in text.getvalue()


def test_a_model_that_is_the_same_one_has_not_changed_at_all() -> None:
    here = measured()
    pair = of_revisions("v1", here, "v2", here).pairs[1]
    assert pair.same_model and verdicts(pair)["test_accuracy", None] == "the same"


def test_two_revisions_pair_what_both_have_and_name_the_rest() -> None:
    before = measured()
    after = measured({"student": {"size_bytes": 600_000, "p50_ms": 0.51}})
    after = after.model_copy(update={"measured": {k: v for k, v in after.measured.items() if k != "student_int8"}})
    found = of_revisions("v1", before, "v2", after)
    assert [pair.a for pair in found.pairs] == ["baseline", "student"]
    assert found.only_a == ("student_int8",) and found.only_b == ()
    said = verdicts(found.pairs[1])
    assert said["size_bytes", None] == "worse" and said["macs", None] == "worse"
    assert said["latency_p50_ms", 1] == "no significant change"
    reference = verdicts(found.pairs[0])
    assert reference["size_bytes", None] == "the same" and reference["latency_p50_ms", 1] == "not comparable"


def test_latencies_by_way_of_another_reference_are_not_compared() -> None:
    found = of_revisions("v1", measured(), "v2", measured(sha="1" * 64))
    assert verdicts(found.pairs[1])["latency_p50_ms", 1] == "not comparable"
    assert not found.pairs[0].same_model and found.pairs[1].same_model
    text = io.StringIO()
    comparing.show(Console(file=text, width=100), found)
    assert "no common yardstick" in text.getvalue() and "\x1b" not in text.getvalue()
    assert max(map(len, text.getvalue().splitlines())) <= 100


def test_latencies_of_another_processor_are_not_compared() -> None:
    before = measured()
    after = before.model_copy(update={"cpu": "Another 1"})
    said = verdicts(of_revisions("v1", before, "v2", after).pairs[1])
    assert said["latency_p50_ms", 1] == "not comparable" and said["size_bytes", None] == "the same"


@pytest.mark.parametrize(
    ("interval", "more", "said"),
    [
        ((0.1, 0.05, 0.2), True, "better"),
        ((0.1, 0.05, 0.2), False, "worse"),
        ((-0.1, -0.2, -0.05), True, "worse"),
        ((0.1, 0.0, 0.2), True, "no significant change"),
        ((0.0, 0.0, 0.0), False, "the same"),
    ],
)
def test_the_verdict_is_what_the_interval_says(interval: tuple[float, ...], more: bool, said: str) -> None:
    value, low, high = interval
    assert judged(Interval(value=value, low=low, high=high), 0.0, more_is_better=more) == said


def test_files_of_another_version_are_read_for_what_is_compared_and_damaged_ones_named() -> None:
    measured()
    path = artifact.evaluation_file("student")
    path.write_text(path.read_text().replace('"macs"', '"flips": 3, "macs"'))
    assert results(of_this_checkout, "here").measured["student"].macs == 500_000
    path.write_text(path.read_text().replace('"macs"', '"mac"'))
    with pytest.raises(ArtifactError, match=r"student\.json at v1: macs: Field required"):
        results(of_this_checkout, "at v1")
    path.unlink()
    with pytest.raises(ArtifactError, match="not there yet"):
        results(of_this_checkout, "here")


def test_a_comparison_survives_its_json() -> None:
    found = of_variants(measured(), "baseline", "student")
    assert Comparison.model_validate_json(found.model_dump_json()) == found
