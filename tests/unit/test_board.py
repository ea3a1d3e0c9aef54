"""A run's states, its logs and what is shown of them."""

import io
from pathlib import Path

from rich.console import Console

from flows.board import Board, tail
from flows.show import board_view, counts, plan_tree
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
    console.print(board_view(plan, Board()))
    shown = console.export_text()
    assert all(name in shown for name in plan.variants)
