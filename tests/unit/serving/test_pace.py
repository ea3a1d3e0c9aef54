"""Which requests are worked on where they stand."""

from __future__ import annotations

from serving.pace import LOOP_BYTES, LOOP_S, LOOP_TEXT_BYTES, Pace, light


def test_a_model_counts_as_slow_until_it_was_measured_and_by_its_rows_then() -> None:
    pace = Pace()
    assert not pace.quick("control", 1)
    pace.measured("control", 4, LOOP_S)
    assert pace.quick("control", 4) and not pace.quick("control", 5)
    assert not pace.quick("treatment", 1), "each model has a pace of its own"


def test_the_pace_follows_what_is_measured() -> None:
    pace = Pace()
    pace.measured("control", 1, LOOP_S / 10)
    for _ in range(100):
        pace.measured("control", 1, LOOP_S * 2)
    assert not pace.quick("control", 1)
    for _ in range(100):
        pace.measured("control", 1, LOOP_S / 10)
    assert pace.quick("control", 1)


def test_long_bodies_and_files_are_not_decoded_on_the_loop() -> None:
    assert light(b"0" * LOOP_BYTES, texts=False) and not light(b"0" * (LOOP_BYTES + 1), texts=False)
    assert light(b"0" * LOOP_TEXT_BYTES, texts=True) and not light(b"0" * (LOOP_TEXT_BYTES + 1), texts=True)
    assert not light(b'{"inputs": [{"image_base64": "aaaa"}]}', texts=False)
