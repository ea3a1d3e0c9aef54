"""What counts show: within, unclear or harm by each rule, with the numbers that it rests on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from serving.control.state import State
from serving.control.tally import Tally
from serving.keeper.judge import change
from serving.keeper.judge.finding import Finding, percent
from serving.keeper.verdict import Verdict
from serving.package import Package
from tests.unit.serving.keeper import traffic

ROW = State(generation=1, package="/p", version="3", share=0.5, stage=2, mode="rolling", by="test", since_s=1000.0)
HARMS = {"p95", "errors", "accuracy", "disagreement", "disagreement_fast"}


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Package:
    return traffic.package(tmp_path_factory.mktemp("verdict") / "package")


def found(package: Package, tally: Tally, row: State = ROW) -> dict[str, Finding]:
    return {f.rule: f for f in Verdict(row, package).see(tally, 1001.0).findings}


def test_nothing_counted_is_unclear(package: Package) -> None:
    findings = found(package, Tally())
    assert {f.outcome for name, f in findings.items() if name != "change"} == {"unclear"}
    assert findings["p95"].sentence == "answers that took over 100 ms: nothing counted yet; allowed: 5 %"
    assert set(findings) == HARMS | {"drift_inputs", "drift_answers", "change"}


def test_good_traffic_is_proven_to_be_within_every_limit(package: Package) -> None:
    findings = found(package, traffic.tally(20_000, labelled=40_000))
    assert {f.outcome for f in findings.values()} == {"within"}
    errors = findings["errors"]
    assert (errors.numbers["count"], errors.numbers["rows"], errors.numbers["limit"]) == (0, 10_000, 0.01)
    assert errors.numbers["high"] < 0.01 and errors.numbers["toward_within"] == 1


@pytest.mark.parametrize(
    ("rule", "harmful"),
    [
        ("p95", traffic.tally(2000, late=0.15)),
        ("errors", traffic.tally(2000, errors=0.05)),
        ("disagreement", traffic.tally(2000, disagreed=0.08)),
        ("disagreement_fast", traffic.tally(120, disagreed=0.25)),
        ("accuracy", traffic.tally(2000, accuracy=(0.8, 0.9), labelled=3000)),
    ],
)
def test_each_harm_is_found_by_its_own_rule(package: Package, rule: str, harmful: Tally) -> None:
    findings = found(package, harmful)
    assert findings[rule].outcome == "harm" and findings[rule].numbers["toward_harm"] == 1
    others = HARMS - {rule} - ({"disagreement", "disagreement_fast"} if "disagreement" in rule else set())
    assert "harm" not in {findings[name].outcome for name in others}


def test_slow_answers_of_both_are_no_reason_to_take_the_treatment_back(package: Package) -> None:
    both = traffic.tally(5000, late=0.3, control_late=0.35)
    finding = found(package, both)["p95"]
    assert finding.outcome == "unclear" and finding.sentence.endswith("so taking the treatment back would not help")
    alone = found(package, both, ROW.model_copy(update={"share": 1.0}))["p95"]
    assert alone.outcome == "harm", "nobody is there to compare with"


def test_harm_stays_proven(package: Package) -> None:
    """Whoever acts on it may have to try again while the counts go on."""
    verdict = Verdict(ROW, package)
    bad, good = traffic.tally(2000, errors=0.05), traffic.tally(60_000)
    verdict.see(bad, 1001.0)
    known = verdict.see(bad + good, 1002.0)
    assert {f.rule: f.outcome for f in known.findings}["errors"] == "harm"


def test_only_rules_that_can_have_data_are_in_force_and_share_alpha(package: Package) -> None:
    quiet = replace(package, rollout=package.rollout.model_copy(update={"shadow": package.rollout.shadow.model_copy(
        update={"share": 0.0})}))  # fmt: skip
    known = Verdict(ROW, quiet).see(traffic.tally(700), 1001.0)
    assert known.harms == {"p95", "errors", "accuracy"} and known.awaited == {"p95", "errors"} and not known.missing
    with_shadow = Verdict(ROW, package).see(traffic.tally(700), 1001.0)
    assert with_shadow.harms == HARMS and with_shadow.awaited == {"p95", "errors", "disagreement"}
    ends = [{f.rule: f for f in one.findings}["p95"].numbers["toward_harm"] for one in (known, with_shadow)]
    late = traffic.tally(700, late=0.09)
    ends = [
        {f.rule: f for f in Verdict(ROW, p).see(late, 1001.0).findings}["p95"].numbers["toward_harm"]
        for p in (quiet, package)
    ]
    assert ends[0] > ends[1] > 0, "a third of alpha needs less than a fifth of it"


def test_without_a_reference_nothing_is_known_of_disagreement(package: Package) -> None:
    known = Verdict(ROW, replace(package, reference=None)).see(traffic.tally(20_000), 1001.0)
    assert known.harms == {"p95", "errors", "accuracy"} and "reference.json" in known.missing


def test_inputs_and_answers_that_moved_are_drift_and_no_harm(package: Package) -> None:
    moved = found(package, traffic.tally(2000, shift=5))
    assert moved["drift_inputs"].outcome == "harm" and moved["drift_answers"].outcome == "within"
    assert "input mean (PSI" in moved["drift_inputs"].sentence
    assert moved["drift_inputs"].numbers["psi input mean"] > 0.2
    tally = traffic.tally(2000)
    alone = tally.model_copy(update={"treatment": tally.treatment.model_copy(update={"predicted": {"zero": 1000}})})
    answers = found(package, alone)["drift_answers"]
    assert answers.outcome == "harm" and "treatment labels" in answers.sentence


def test_counts_over_other_bins_are_named(package: Package) -> None:
    odd = traffic.tally(2000).model_copy(update={"inputs": {"mean": (5, 5), "tokens": (7, 7)}})
    sentence = found(package, odd)["drift_inputs"].sentence
    assert sentence.endswith("counted over other bins than the package's: input mean, input tokens")


def test_a_rise_over_time_is_told_without_a_reference(package: Package) -> None:
    verdict, total = Verdict(ROW, replace(package, reference=None)), Tally()
    for look in range(500):
        total = total + traffic.tally(20, disagreed=0.0 if look < 300 else 0.3)
        known = verdict.see(total, 1001.0)
        seen = {f.rule: f for f in known.findings}["change"]
        if seen.outcome == "harm":
            break
    assert 300 < look < 400 and seen.sentence.startswith("changed: disagreement from 0")


def test_without_river_it_says_so(package: Package, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(change, "installed", lambda: False)
    seen = found(package, traffic.tally(2000))["change"]
    assert (seen.outcome, seen.sentence) == ("unclear", f"changes over time are not watched: {change.MISSING}")


@pytest.mark.parametrize(
    ("share", "wanted"),
    [(0.0, "0 %"), (1e-7, "under 0.001 %"), (0.00012, "0.012 %"), (0.0312, "3.1 %"), (0.5, "50 %"), (0.999, "100 %")],
)
def test_percent_reads_well(share: float, wanted: str) -> None:
    assert percent(share) == wanted
