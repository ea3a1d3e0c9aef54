"""What the nightly loop makes of a promotion's end: it went through, was refused, or broke down and is tried again."""

from types import SimpleNamespace

import pytest

from flows.retrain import PromotionError, broke_down, verdict
from tasks.core.errors import GateError


def test_a_promotion_that_went_through() -> None:
    assert verdict(0, "champion: student_int8\n") == "champion: student_int8"


def test_a_refusal_is_a_judgement_and_not_tried_again() -> None:
    with pytest.raises(GateError, match=r"accuracy_drop: 0\.05, allowed 0\.02") as refused:
        verdict(1, "accuracy_drop: 0.05, allowed 0.02")
    assert not broke_down(None, None, SimpleNamespace(data=refused.value, message=str(refused.value)))


@pytest.mark.parametrize(
    ("status", "output"),
    [(-9, ""), (1, "Traceback (most recent call last):\n  ...\nOperationalError: database is locked")],
)
def test_a_breakdown_is_tried_again(status: int, output: str) -> None:
    with pytest.raises(PromotionError, match="promote ended with status") as broken:
        verdict(status, output)
    assert broke_down(None, None, SimpleNamespace(data=broken.value, message=str(broken.value)))
