from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tasks.core.arrays import Decoded, Picked, batches, pick
from tasks.core.contract import Data, Split
from tasks.core.dataset import BLOCK_BYTES, block_rows, read_data, write_data
from tasks.core.errors import ArtifactError
from tasks.core.preprocess import Preprocess
from tasks.intake.facts import row_facts

ROWS = np.random.default_rng(0).integers(0, 256, (37, 3, 4, 5), np.uint8)
LABELS = np.arange(37) % 4


def data_of(rows: object = ROWS) -> Data:
    train = Split({"images": rows}, LABELS, groups=LABELS // 2)  # type: ignore[dict-item]
    part = pick(train, np.array([3, 1, 36]))
    about = Preprocess(kind="image", channels=3, height=4, width=5, mean=(0.1, 1 / 3, 1e-9), std=(1.0, 2.0, 3.0))
    return Data(train, ("a", "b", "c", "d"), about, part, part, part, group_names=("x", "y"))


class Watched:
    """An array that notes how many rows were asked for at once."""

    def __init__(self, rows: np.ndarray) -> None:
        self.rows, self.shape, self.dtype, self.most = rows, rows.shape, rows.dtype, 0

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, rows: object) -> np.ndarray:
        found = self.rows[rows]  # type: ignore[call-overload]
        self.most = max(self.most, len(found))
        return found


@pytest.mark.parametrize("block", [1, 5, 37, 1000, None])
def test_what_is_written_is_read_back_from_disk(tmp_path: Path, block: int | None) -> None:
    data = data_of()
    write_data(tmp_path, data, block=block)
    back = read_data(tmp_path)
    assert isinstance(back.train.inputs["images"], np.memmap)
    assert (back.classes, back.preprocess, back.group_names) == (data.classes, data.preprocess, data.group_names)
    for name, rows in (("train", slice(None)), ("calibration", [3, 1, 36]), ("val", [3, 1, 36]), ("test", [3, 1, 36])):
        split = back.split(name)
        assert np.array_equal(split.inputs["images"][:], ROWS[rows])
        assert np.array_equal(split.labels, LABELS[rows]) and split.labels.dtype == np.int64
        assert split.groups is not None and np.array_equal(split.groups, LABELS[rows] // 2)


def test_equal_data_are_equal_bytes(tmp_path: Path) -> None:
    for name, block in (("one", 4), ("two", 1000)):
        write_data(tmp_path / name, data_of(), block=block)
    files = sorted(p.relative_to(tmp_path / "one") for p in (tmp_path / "one").rglob("*") if p.is_file())
    assert len(files) == 13
    assert all((tmp_path / "one" / f).read_bytes() == (tmp_path / "two" / f).read_bytes() for f in files)


def test_files_beside_the_arrays_are_written_and_read_back(tmp_path: Path) -> None:
    data = replace(data_of(), files={"tokenizer.json": b"{}\xff"})
    write_data(tmp_path, data)
    assert (tmp_path / "tokenizer.json").read_bytes() == b"{}\xff"
    assert read_data(tmp_path).files == data.files
    (tmp_path / "tokenizer.json").unlink()
    with pytest.raises(ArtifactError, match=r"tokenizer\.json: cannot be read"):
        read_data(tmp_path)
    for name in ("data.json", "../outside", "train"):
        with pytest.raises(AssertionError, match="plain file name"):
            write_data(tmp_path, replace(data, files={name: b""}))


def test_no_more_than_a_block_is_held_in_memory(tmp_path: Path) -> None:
    watched = Watched(ROWS)
    write_data(tmp_path, data_of(watched), block=5)
    assert watched.most == 5


def test_a_block_is_about_16_mib_and_at_least_a_row() -> None:
    big = np.broadcast_to(np.uint8(0), (10, BLOCK_BYTES // 4))
    huge = np.broadcast_to(np.float64(0), (10, BLOCK_BYTES))
    assert block_rows(Split({"x": big}, np.zeros(10))) == 4
    assert block_rows(Split({"x": huge}, np.zeros(10))) == 1


def test_rows_are_decoded_when_asked_for_and_not_before() -> None:
    seen: list[int] = []

    def decode(i: int) -> np.ndarray:
        seen.append(i)
        return ROWS[i]

    rows = Decoded(len(ROWS), ROWS.shape[1:], np.uint8, decode)
    assert (rows.shape, rows.dtype, len(rows), seen) == (ROWS.shape, np.uint8, 37, [])
    assert np.array_equal(rows[30:99:3], ROWS[30:99:3]) and seen == [30, 33, 36]
    for index in (np.array([5, 2, 2]), np.array([-1, -37]), np.arange(37) % 2 == 0, np.array([], np.int64)):
        assert np.array_equal(rows[index], ROWS[index])
    with pytest.raises(IndexError, match="of 37"):
        rows[np.array([37])]


def test_a_view_of_a_view_reads_only_its_rows() -> None:
    seen: list[int] = []
    rows = Decoded(37, ROWS.shape[1:], np.uint8, lambda i: (seen.append(i), ROWS[i])[1])
    view = Picked(Picked(rows, np.array([9, 8, 7, 6])), np.array([3, 0]))
    assert view.shape == (2, 3, 4, 5)
    assert np.array_equal(view[:], ROWS[[6, 9]]) and seen == [6, 9]
    split = pick(pick(Split({"images": rows}, LABELS, LABELS * 2), np.arange(10, 20)), np.array([1, 9]))
    assert split.labels.tolist() == LABELS[[11, 19]].tolist()
    assert split.groups is not None and split.groups.tolist() == (LABELS[[11, 19]] * 2).tolist()
    assert np.array_equal(split.inputs["images"][:], ROWS[[11, 19]])


def test_batches_come_in_order_and_the_last_is_smaller() -> None:
    found = list(batches(Split({"images": ROWS.transpose(0, 2, 3, 1)}, LABELS), 10))
    assert [len(labels) for _, labels in found] == [10, 10, 10, 7]
    assert all(inputs["images"].flags.c_contiguous for inputs, _ in found)
    assert np.array_equal(np.concatenate([labels for _, labels in found]), LABELS)


def test_missing_and_damaged_data_are_named(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"data\.json: not there yet"):
        read_data(tmp_path)
    write_data(tmp_path, data_of())
    np.save(tmp_path / "val" / "labels.npy", np.zeros(2))
    with pytest.raises(ArtifactError, match=r"val/labels\.npy: 2 rows, data\.json says 3"):
        read_data(tmp_path)
    (tmp_path / "train" / "images.npy").write_bytes(b"\x93NUMPY")
    with pytest.raises(ArtifactError, match=r"train/images\.npy: cannot be read"):
        read_data(tmp_path)
    (tmp_path / "data.json").write_text('{"rows": 1}')
    with pytest.raises(ArtifactError, match=r"data\.json"):
        read_data(tmp_path)


def test_facts_of_pictures_agree_with_numpy() -> None:
    facts = row_facts(Split({"images": ROWS}, LABELS))
    mean, std = facts.moments(4 * 5)
    assert np.allclose(mean, ROWS.mean((0, 2, 3)), rtol=1e-12) and np.allclose(std, ROWS.std((0, 2, 3)), rtol=1e-12)
    assert np.array_equal(facts.low, ROWS.min((1, 2, 3))) and np.array_equal(facts.high, ROWS.max((1, 2, 3)))
    assert facts.finite.all() and facts.shape == "3 x 4 x 5"
    part = facts.take(np.array([4, 2])).moments(4 * 5)
    assert np.allclose(part[0], ROWS[[4, 2]].mean((0, 2, 3)), rtol=1e-12)


def test_a_channel_of_one_value_has_a_deviation_of_one() -> None:
    assert row_facts(Split({"images": np.full((3, 1, 2, 2), 9, np.uint8)}, LABELS[:3])).moments(4) == ((9.0,), (1.0,))


def test_facts_of_numbers_count_finite_values_only() -> None:
    rows = np.array([[1, 2], [np.nan, 5], [np.inf, -3], [np.nan, -np.inf], [1, 2]], np.float32)
    facts = row_facts(Split({"features": rows}, LABELS[:5]))
    assert facts.finite.tolist() == [True, False, False, False, True]
    assert np.array_equal(facts.low, [1, 5, -3, np.nan, 1], equal_nan=True)
    assert np.array_equal(facts.high, [2, 5, -3, np.nan, 2], equal_nan=True)
    assert len(set(facts.digest)) == 4 and facts.digest[0] == facts.digest[4]


def test_facts_cover_every_input() -> None:
    one, two = np.array([[1], [1]]), np.array([[7, 0], [8, 0]])
    facts = row_facts(Split({"a": one, "b": two}, LABELS[:2]))
    assert facts.high.tolist() == [7, 8] and facts.low.tolist() == [0, 0]
    assert facts.digest[0] != facts.digest[1] and facts.shape == "1 and 2"
