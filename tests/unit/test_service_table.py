"""benchmarks/service.py: the table's figures, and the shadow's rows under it."""

from benchmarks.peers.shadow_rows import ShadowRows, read
from benchmarks.service import Taken, shadowed, table


def test_a_row_has_medians_beside_ratios_of_the_same_round() -> None:
    taken = {"lean": [Taken(1.0, 1000.0, 2.0, 0)] * 3, "ours": [Taken(1.5, 1200.0, 5.0, f) for f in (0, 1, 0)]}
    head, rule, lean, ours = table(taken, "lean").splitlines()
    assert head == "|  | CPU ms a request | CPU ratio | requests/s | ratio | p95 ms | ratio | failed |"
    assert rule.count("---") == 8
    assert "| 1,000 | 1.00 [1.00, 1.00] | 2.00 |" in lean
    assert ours == "| ours | 1.500 | 1.50 [1.50, 1.50] | 1,200 | 1.20 [1.20, 1.20] | 5.00 | 2.50 [2.50, 2.50] | 1 |"


def test_compared_rows_are_those_that_agreed_and_those_that_did_not() -> None:
    text = (
        "# TYPE stillroom_shadow_rows counter\n"
        'stillroom_shadow_rows_total{outcome="agreed"} 40.0\n'
        'stillroom_shadow_rows_total{outcome="disagreed"} 2.0\n'
        'stillroom_shadow_rows_total{outcome="dropped"} 7.0\n'
    )
    assert read(text) == ShadowRows(compared=42, dropped=7, failed=0)
    assert shadowed({"a": read(text)}) == "a: 42 rows compared, 7 dropped, 0 failed"
