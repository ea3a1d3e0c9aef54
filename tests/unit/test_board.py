"""A run's states, its logs and what is shown of them."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from flows.board import Board, tail
from flows.show import board_view, counts, plan_tree, table
from tasks.core.findings import Interval
from tasks.core.results import Summary, SummaryRow
from tasks.plan import load


def test_a_stage_goes_from_waiting_over_running_to_its_end():
    board = Board()
    board.reset(["prepare", "bench"])
    assert {e.state for e in board.entries().values()} == {"waiting"}
    board.start("prepare")
    first = board.entries()["prepare"]
    assert first.state == "running" and board.entries()["prepare"].seconds >= first.seconds
    board.end("prepare", "computed")
    assert board.entries()["prepare"].state == "computed"
    board.end("bench", "skipped")
    assert board.entries()["bench"].seconds == 0
    assert counts(board) == "1 computed, 1 skipped"


def test_tail_takes_a_progress_bar_s_redraws_for_lines_and_bad_bytes_for_text(tmp_path: Path):
    (tmp_path / "build@x.log").write_bytes(b"one\n\nepoch 1\repoch 2\r\xff\n")
    assert tail("build@x", 2, tmp_path) == ["epoch 2", "�"]
    assert tail("missing", 2, tmp_path) == []


def test_the_views_name_every_row_and_every_reason():
    plan = load().plan
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(
        plan_tree(plan, {"build@student": "variants.student modified", "evaluate@student": "after build@student"})
    )
    text = console.export_text(clear=False)
    assert "student  distill  stale: variants.student modified" in text
    assert text.count("current") == len(plan.variants)  # data and every row but the stale one
    console.print(plan_tree(plan, {"bench": "variants modified", "choose": "after bench"}))
    assert "bench  stale: variants modified" in console.export_text(clear=False)
    console.print(board_view(plan, Board()))
    shown = console.export_text()
    assert all(name in shown for name in plan.variants)


@pytest.mark.parametrize("width", [80, 120])
def test_no_figure_of_the_table_is_cut(width: int):
    ratio = Interval(value=0.354, low=0.348, high=0.362)
    row = SummaryRow(
        variant="baseline_int8_percentile", parent="baseline", technique="quantize", size_bytes=1_491_700,
        accuracy=0.9911, accuracy_drop=-0.0022,
        drop_interval=Interval(value=-0.0022, low=-0.01, high=0.0063), step_change=None,
        latency_ratio=ratio, on_front=True, chosen=True,
    )  # fmt: skip
    summary = Summary(reference="baseline", chosen=row.variant, threads=1, batch=1, rows=(row,))
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(table(summary, width))
    shown = console.export_text()
    assert all(word in shown for word in ("99.11%", "-0.22", "0.35 [0.35,", "0.36]", "quantize", "chosen"))
    assert ("1,492 " if width == 80 else "1,491.7") in shown and "…" not in shown
