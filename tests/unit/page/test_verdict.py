"""What a reader meets first: the alarms, then a headline that claims no more than holds, then the claims."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tasks.core.findings import Interval, Portability
from tasks.evidence import verdict
from tests.unit import fake_project
from tests.unit.page.planted import Reader, around, reported, with_classes

CLAIMS = '<ul class="claims">'


def headline(html: str) -> str:
    (found,) = re.findall(r"<h1>(.*?)</h1>", html)
    return str(found)


def test_page_says_the_verdict_first() -> None:
    said = re.sub(r"\s+", " ", Reader(reported(at_most={"accuracy_drop": 0.02})).said)
    first = said.index("student wins: 2.0× smaller, 2.0× faster", said.index("Skip to"))
    assert first < said.index("95 % interval 1.90× to 2.11×") < said.index("Every variant")
    assert "1.00 points" in said and "of 60 test rows" in said
    assert "over budget: accuracy_drop" in said
    assert "All 1 rules hold" in said
    assert "Any 9000" in said


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        ({"never_predicted": ("dog",)}, "never answers dog, which the reference finds"),
        ({"constant": True}, "every row gets the same answer"),
    ],
)
def test_collapsed_variant_does_not_win_whatever_was_chosen(harm: dict[str, Any], told: str) -> None:
    html = reported({"student": {"harm": harm}}, chosen="student")
    assert headline(html) == f"Do not ship student: {told}"
    assert html.index(f"<li>Collapse: {told}.</li>") < html.index("<h1>") < html.index(CLAIMS)
    assert "wins" not in html[html.index("<h1>") : html.index("<script")]
    assert "collapsed" in html.split('id="variants"')[1].split("</table>")[0]


def test_hurt_class_is_said_before_the_headline_and_in_it() -> None:
    drops = {"cat": around(0.2), "dog": around(0.0), "eel": around(0.1, 0.02)}
    html = reported({"student": {"harm": {"recall_drop": drops, "hurt_classes": ("cat", "eel")}}}, chosen="student")
    assert headline(html) == "student is chosen (2.0× smaller, 2.0× faster), but hurts 2 classes"
    worst, next_worst = (
        html.index("<li>Hurt: class cat lost 20.00 points"),
        html.index("<li>Hurt: class eel lost 10.00"),
    )
    assert worst < next_worst < html.index("<h1>")
    assert "class cat; 95 % sure that no class lost more than 21.00" in html


def test_a_hundred_hurt_classes_do_not_fill_the_screen() -> None:
    drops = {f"c{k:03}": around(0.3 - 0.001 * k) for k in range(100)}
    harm = {"recall_drop": drops, "hurt_classes": tuple(drops)}
    html = reported(with_classes({name: {"harm": harm} for name in fake_project.PARENTS}), chosen="student")
    first = html[: html.index("<h1>")]
    assert first.count("Hurt: class ") == 10 and "class c009" in first and "class c010" not in first
    assert "Hurt: 90 more classes, by less." in first


def test_variant_that_gains_nothing_does_not_win() -> None:
    html = reported({"student": {"size_bytes": 999_000, "p50_ms": 1.02}}, chosen="student")
    told = "no change in size, no change in speed that can be told"
    assert headline(html) == f"student is chosen, but is neither smaller nor faster: {told}"


def test_nothing_is_told_above_the_headline_without_an_alarm() -> None:
    html = reported()
    assert 'role="alert"' not in html
    assert html.index("<h1>") < html.index('class="claims"')


def test_reference_that_wins_is_said_plainly() -> None:
    slow = {"p95_ms": 9.0}
    html = reported({"student": slow, "student_int8": slow})
    assert headline(html) == "baseline stays: nothing within the budget is better"
    assert 'id="harms"' in html and 'id="class-changes"' in html  # what the others would have done is still shown
    assert CLAIMS not in html


def test_budget_that_was_kept_on_val_and_missed_on_test_is_told() -> None:
    lost = {"accuracy_drop": around(0.05)}
    html = reported({"student": {"harm": lost}}, chosen="student", at_most={"accuracy_drop": 0.02})
    assert "Missed on test: it loses 5.00 points, the budget allows 2" in html
    near = {"accuracy_drop": around(0.015)}
    html = reported({"student": {"harm": near}}, chosen="student", at_most={"accuracy_drop": 0.02})
    assert "Not sure: on test it may lose up to 2.50 points" in html
    sure = {"accuracy_drop": around(0.001)}
    html = reported({"student": {"harm": sure}}, chosen="student", at_most={"accuracy_drop": 0.02})
    assert "To weigh before shipping" not in html


def test_int8_that_does_not_travel_is_told_beside_the_claims() -> None:
    found = Portability(verdict="differs", sentence="3 of 256 rows get another class", layers=4, rows=256)
    html = reported({"student": {"portability": found}}, chosen="student")
    assert "INT8: 3 of 256 rows get another class." in html[: html.index('id="h-variants"')]


@pytest.mark.parametrize(
    ("ratio", "figure", "meaning"),
    [
        ((0.25, 0.2, 0.5), "4.0×", "faster"),
        ((2.0, 1.5, 3.0), "2.0×", "slower"),
        ((0.97, 0.9, 1.01), "≈ 1×", "no change in speed that can be told"),
    ],
)
def test_speed_is_claimed_only_when_the_interval_supports_it(
    ratio: tuple[float, float, float], figure: str, meaning: str
) -> None:
    claim = verdict.speed(Interval(value=ratio[0], low=ratio[1], high=ratio[2]))
    assert (claim.figure, claim.meaning) == (figure, meaning)


def test_interval_of_a_speed_up_is_turned_round() -> None:
    claim = verdict.speed(Interval(value=0.25, low=0.2, high=0.5))
    assert claim.basis == "95 % interval 2.00× to 5.00×"
