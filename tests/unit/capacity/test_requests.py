"""Requests in the form that the service's own example has, each of its own."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy.io import wavfile

from serving import inputs
from serving.openapi import example
from serving.package import read
from tasks.capacity.reply import Replies
from tasks.capacity.requests import MOST, bodies, posts
from tasks.core import artifact
from tasks.core.contract import Data, Split
from tasks.core.dataset import write_data
from tasks.core.preprocess import Preprocess
from tests import made_package


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def about(folder: Path, **preprocess: Any) -> dict[str, Any]:
    """What GET /info would say of a package."""
    package = read(folder)
    told = json.loads(json.dumps({"preprocess": package.preprocess.model_dump(), "example": example(package)}))
    told["preprocess"] |= preprocess
    return told  # type: ignore[no-any-return]


def test_random_rows_are_answered_and_all_differ(tmp_path: Path) -> None:
    folder = made_package.make(tmp_path / "package")
    made, origin = bodies(about(folder), folder)
    assert origin == "random rows" and len(made) == len(set(made)) == MOST
    asked = [inputs.read(body, read(folder).preprocess, rows_max=1) for body in made]
    assert len({one.user_id for one in asked}) == MOST
    rows = np.concatenate([one.inputs["images"] for one in asked])
    assert rows.dtype == np.uint8 and rows.min() == 0 and rows.max() == 254
    assert bodies(about(folder), folder)[0] == made, "the same every time"


def test_rows_of_val_where_they_fit(tmp_path: Path) -> None:
    folder = made_package.make(tmp_path / "package")
    rows = np.random.default_rng(0).integers(0, 256, (7, 1, 8, 8), dtype=np.uint8)
    split = Split({"images": rows}, np.zeros(7, np.int64))
    preprocess = Preprocess(kind="image", channels=1, height=8, width=8, mean=(0.0,), std=(1.0,))
    data = Data(split, ("a", "b"), preprocess, split, split, split)
    write_data(artifact.DATA, data)
    made, origin = bodies(about(folder), folder)
    assert origin == "rows of val"
    sent = np.concatenate([inputs.read(b, read(folder).preprocess, rows_max=1).inputs["images"] for b in made])
    assert np.array_equal(sent, rows)
    other = about(folder)
    other["preprocess"]["inputs"]["images"]["shape"] = [1, 9, 9]
    assert bodies(other, folder)[1] == "random rows", "another data set's rows are not sent"


def test_texts_are_words_of_the_tokenizer(tmp_path: Path) -> None:
    folder = made_package.make_text(tmp_path / "package")
    made, origin = bodies(about(folder), folder)
    texts = [json.loads(body)["inputs"][0]["text"] for body in made]
    words = {word for text in texts for word in text.split()}
    assert words == {"good", "bad", "film", "a"} and origin == "random rows"
    assert all(5 <= len(text.split()) <= 40 for text in texts)


def test_large_pictures_go_as_files(tmp_path: Path) -> None:
    told = about(made_package.make(tmp_path / "package"))
    told["example"] = {"inputs": [{"image_base64": "..."}]}
    told["preprocess"]["inputs"] = {"images": {"shape": [3, 20, 10], "dtype": "uint8"}}
    (key, text), *_ = json.loads(bodies(told, tmp_path)[0][0])["inputs"][0].items()
    picture = Image.open(io.BytesIO(base64.b64decode(text)))
    assert (key, picture.format, picture.size, picture.mode) == ("image_base64", "PNG", (10, 20), "RGB")


def test_sounds_go_as_files(tmp_path: Path) -> None:
    told = about(made_package.make(tmp_path / "package"), kind="audio", sound={"rate": 8000, "samples": 100})
    told["example"] = {"inputs": [{"audio_base64": "..."}]}
    told["preprocess"]["inputs"] = {"sounds": {"shape": [100], "dtype": "int16"}}
    text = json.loads(bodies(told, tmp_path)[0][0])["inputs"][0]["audio_base64"]
    rate, samples = wavfile.read(io.BytesIO(base64.b64decode(text)))
    assert (rate, samples.shape, samples.dtype) == (8000, (100,), np.int16)


def test_a_post_is_whole_http() -> None:
    (post,) = posts([b'{"a": 1}'], "127.0.0.1:3000", {"X-Stillroom-Variant": "control"})
    head, _, body = post.partition(b"\r\n\r\n")
    assert body == b'{"a": 1}'
    assert head.split(b"\r\n") == [
        b"POST /predict HTTP/1.1",
        b"Host: 127.0.0.1:3000",
        b"Content-Type: application/json",
        b"X-Stillroom-Variant: control",
        b"Content-Length: 8",
    ]
    assert Replies().feed(post.replace(b"POST /predict HTTP/1.1", b"HTTP/1.1 200 OK")) != [], "as long as it says"
