from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks.core.errors import DataError
from tasks.sources import csv as source

HEADER = "height,colour,age,kind,who,part"
KINDS = ("colour", "who")
LINES = ["1.5,red,10,cat,a,train", "2,blue,2,dog,b,train", "-3e1,red,7,cat,b,test", "4,blue,0,dog,a,validation"]


def file(tmp_path: Path, *lines: str, encoding: str = "utf-8") -> str:
    path = tmp_path / "table.csv"
    path.write_text("\n".join(lines) + "\n", encoding=encoding)
    return str(path)


def features(split: Any) -> list[list[float]]:
    assert split.inputs["features"].dtype == np.float32
    return split.inputs["features"].tolist()


def test_columns_splits_groups_and_kinds(tmp_path: Path) -> None:
    path = file(tmp_path, HEADER, *LINES)
    data = source.load(path=path, label="kind", one_hot=("colour",), group="who", split="part")
    assert features(data.train) == [[1.5, 0, 1, 10], [2, 1, 0, 2]]  # blue before red, between height and age
    assert features(data.split("test")) == [[-30, 0, 1, 7]] and features(data.split("val")) == [[4, 1, 0, 0]]
    assert data.classes == ("cat", "dog") and data.train.labels.tolist() == [0, 1]
    assert data.split("test").labels.tolist() == [0] and data.split("val").labels.tolist() == [1]
    assert data.group_names == ("a", "b") and data.train.groups is not None
    assert data.train.groups.tolist() == [0, 1] and data.preprocess.kind == "array"


def test_features_may_be_named_and_everything_is_train(tmp_path: Path) -> None:
    data = source.load(path=file(tmp_path, HEADER, *LINES), label="kind", features=("age", "height"))
    assert features(data.train) == [[10, 1.5], [2, 2], [7, -30], [0, 4]]
    assert (data.val, data.test, data.train.groups, data.group_names) == (None, None, None, ())


def test_whole_numbers_count_by_size_and_may_be_given_an_order(tmp_path: Path) -> None:
    path = file(tmp_path, "x;label", "1;10", "2;9", "3;-1")
    data = source.load(path=path, delimiter=";")
    assert data.classes == ("-1", "9", "10") and data.train.labels.tolist() == [2, 1, 0]
    data = source.load(path=path, delimiter=";", class_names=("9", "10", "-1"))
    assert data.train.labels.tolist() == [1, 0, 2]


def test_quotes_blank_lines_a_byte_order_mark_and_many_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.intake.delimited.BLOCK_ROWS", 3)
    rows = [f'{i},"class, {i % 2}"' for i in range(10)]
    data = source.load(path=file(tmp_path, "x, label", *rows[:5], "", *rows[5:], encoding="utf-8-sig"))
    assert features(data.train) == [[float(i)] for i in range(10)]
    assert data.classes == ("class, 0", "class, 1") and data.train.labels.tolist() == [0, 1] * 5


FAULTS: dict[str, tuple[list[str], dict[str, Any], str]] = {
    "words": ([HEADER, *LINES], {}, r"line 2, column 'colour': 'red' is not a number; .*`one_hot`"),
    "no number": (["x,kind", "1,a", ",b"], {}, r"line 3, column 'x': empty; a number is needed"),
    "no label": (["x,kind", "1,a", "2, "], {}, r"line 3, column 'kind': empty; a value is needed"),
    "no column": (["x,kinds", "1,a"], {}, r"no column 'kind'; did you mean 'kinds'\? \(it has x, kinds\)"),
    "no feature": (["kind", "a"], {}, r"no feature column beside kind"),
    "twice": (["x,x,kind", "1,1,a"], {}, r"line 1: a column's name 'x' stands twice"),
    "no name": (["x,,kind", "1,1,a"], {}, r"line 1: a column's name is empty"),
    "ragged": (["x,kind", "1,a", "1,a,3"], {}, r"line 3: 3 cells, the header has 2; is ',' the delimiter\?"),
    "header only": (["x,kind"], {}, r"no rows below the header"),
    "empty": ([""], {}, r"empty; a header line"),
    "open quote": (["x,kind", '1,"a'], {}, r"line \d: unexpected end of data"),
    "label as feature": (["x,kind", "1,a"], {"features": ("kind",)}, r"'kind' is used twice"),
    "kind of no feature": (["x,kind", "1,a"], {"one_hot": ("kind",)}, r"'kind' stands in one_hot; it is no feature"),
    "other class": (
        ["x,kind", "1,a", "1,c"],
        {"class_names": ("a", "b")},
        r"line 3, column 'kind': 'c' is not one of a, b",
    ),
    "split": (
        [HEADER, LINES[0], "1,red,1,cat,a,tset"],
        {"split": "part", "one_hot": KINDS},
        r"line 3, column 'part': 'tset' is .* 'test'\?",
    ),
    "no train": (
        [HEADER, LINES[2]],
        {"split": "part", "one_hot": KINDS},
        r"column 'part': no split called train \(found: test\)",
    ),
    "class only in test": (
        [HEADER, *LINES[:2], "1,red,1,eel,a,test"],
        {"split": "part", "one_hot": KINDS},
        r"line 4, column 'kind': 'eel' is not one of cat, dog",
    ),
    "value only in test": (
        [HEADER, *LINES[:2], "1,pink,1,cat,a,test"],
        {"split": "part", "one_hot": KINDS},
        r"line 4, column 'colour': 'pink' is not one of blue, red",
    ),
    "two vals": (
        [HEADER, *LINES, "1,red,1,cat,a,dev"],
        {"split": "part", "one_hot": KINDS},
        r"both 'validation' and 'dev' mean val",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_named(tmp_path: Path, fault: str) -> None:
    lines, own, message = FAULTS[fault]
    with pytest.raises(DataError, match=message) as e:
        source.load(path=file(tmp_path, *lines), label="kind", **own)
    assert "table.csv" in str(e.value)


def test_a_missing_or_binary_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.csv: there is no such file"):
        source.load(path=str(tmp_path / "gone.csv"))
    with pytest.raises(DataError, match=r"cannot be read"):
        source.load(path=str(tmp_path))
    (tmp_path / "bad.csv").write_bytes(b"x,label\n1,\xff\xfe\n")
    with pytest.raises(DataError, match=r"bad\.csv: .*not UTF-8"):
        source.load(path=str(tmp_path / "bad.csv"))


def test_too_many_kinds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "KINDS_MAX", 1)
    with pytest.raises(DataError, match=r"column 'colour' has 2 different values; one_hot allows 1"):
        source.load(path=file(tmp_path, HEADER, *LINES), label="kind", features=("colour",), one_hot=("colour",))
