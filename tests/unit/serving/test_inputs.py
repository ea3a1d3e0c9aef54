"""A request body becomes an array, or is refused with a message that names the fault and what is allowed."""

from __future__ import annotations

import base64
import json
import random
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from serving import inputs, picture
from serving.inputs import Asked, read
from serving.refusal import Refused
from serving.shapes import Preprocess
from tasks.intake.pictures import Form, decode
from tests.made_package import IMAGE

GREY = Preprocess.model_validate(IMAGE)
RGB = Preprocess.model_validate({**IMAGE, "channels": 3, "inputs": {"images": {"shape": [3, 8, 8], "dtype": "uint8"}}})


def array_of(dtype: str) -> Preprocess:
    inputs = {"features": {"shape": [4], "dtype": dtype}}
    return Preprocess.model_validate({**IMAGE, "kind": "array", "channels": 0, "inputs": inputs})


def ask(body: Any, preprocess: Preprocess = GREY, rows_max: int = 3) -> Asked:
    return read(body if isinstance(body, bytes) else json.dumps(body).encode(), preprocess, rows_max=rows_max)


def refusal(body: Any, preprocess: Preprocess = GREY) -> str:
    with pytest.raises(Refused) as e:
        ask(body, preprocess)
    assert 400 <= e.value.status < 500
    return f"{e.value.status} {e.value}"


def file_of(pixels: np.ndarray[Any, Any], kind: str = "PNG") -> bytes:
    out = BytesIO()
    Image.fromarray(pixels).save(out, kind)
    return out.getvalue()


def picture_row(content: bytes) -> dict[str, str]:
    return {"image_base64": base64.b64encode(content).decode()}


PIXELS = np.random.default_rng(0).integers(0, 256, (8, 8), dtype=np.uint8)


def test_a_row_may_be_chw_hw_or_a_picture_and_all_are_the_same() -> None:
    rows = [PIXELS[None].tolist(), PIXELS.tolist(), picture_row(file_of(PIXELS))]
    asked = ask({"inputs": rows, "user_id": "u1"})
    assert asked.user_id == "u1"
    assert asked.inputs["images"].dtype == np.uint8
    assert np.array_equal(asked.inputs["images"], np.stack([PIXELS[None]] * 3))
    assert ask({"inputs": [rows[0]]}).user_id is None


def test_whole_numbers_may_be_written_as_floats() -> None:
    assert np.array_equal(ask({"inputs": [PIXELS.astype(float).tolist()]}).inputs["images"][0, 0], PIXELS)


@pytest.mark.parametrize("preprocess", [GREY, RGB])
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "1", "LA"])
@pytest.mark.parametrize("size", [(8, 8), (31, 17)])
def test_a_picture_becomes_what_training_made_of_it(preprocess: Preprocess, mode: str, size: tuple[int, int]) -> None:
    pixels = np.random.default_rng(3).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    out = BytesIO()
    Image.fromarray(pixels).convert(mode).save(out, "PNG")
    got = ask({"inputs": [picture_row(out.getvalue())]}, preprocess).inputs["images"][0]
    assert np.array_equal(got, decode(out.getvalue(), "x", Form(preprocess.channels, 8, 8, resize=True)))


def test_jpeg_and_data_urls_are_taken() -> None:
    content = file_of(PIXELS, "JPEG")
    url = "data:image/jpeg;base64," + base64.b64encode(content).decode()
    assert ask({"inputs": [{"image_base64": url}]}).inputs["images"].shape == (1, 1, 8, 8)


def test_arrays_of_any_number_type() -> None:
    assert ask({"inputs": [[1, 2.5, -3, 4e30]]}, array_of("float32")).inputs["features"].dtype == np.float32
    assert ask({"inputs": [[1, 2, -3, 4]]}, array_of("int64")).inputs["features"].dtype == np.int64


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (b"", "400 body: empty"),
        (b"{", "400 body: not JSON"),
        (b'{"inputs": [[NaN]]}', "400 body: not JSON"),
        (b"\xff\xfe", "400 body: not JSON"),
        (b"[" * 5000, "400 body: not JSON"),
        ([1], "422 body: is a list; allowed: an object"),
        ({"input": [1]}, "422 'input': unknown key; allowed: inputs, user_id; did you mean 'inputs'?"),
        ({}, "422 inputs: missing; allowed: a list of 1 to 3 rows"),
        ({"inputs": "x"}, "422 inputs: is a string"),
        ({"inputs": []}, "422 inputs: has 0 rows; allowed: 1 to 3"),
        ({"inputs": [1] * 4}, "422 inputs: has 4 rows; allowed: 1 to 3"),
        ({"inputs": [1]}, "422 inputs[0]: is a number; allowed: lists of numbers of shape (1, 8, 8) or {"),
        ({"inputs": [PIXELS.tolist(), None]}, "422 inputs[1]: is null"),
        ({"inputs": [[[1, 2], [3]]]}, "422 inputs[0]: lists of unequal length"),
        ({"inputs": [[[1, 2], [3, 4]]]}, "422 inputs[0]: shape (2, 2); allowed: (1, 8, 8) or (8, 8)"),
        ({"inputs": [[]]}, "422 inputs[0]: shape (0,)"),
        ({"inputs": [[["a"] * 8] * 8]}, "422 inputs[0]: holds something that is not a number"),
        ({"inputs": [[[True] * 8] * 8]}, "422 inputs[0]: holds something that is not a number"),
        ({"inputs": [[[None] * 8] * 8]}, "422 inputs[0]: holds something that is not a number"),
        ({"inputs": [{"image": "x"}]}, "422 inputs[0]: has keys ['image']; allowed: {\"image_base64\""),
        ({"inputs": [{"image_base64": 3}]}, "422 inputs[0].image_base64: is a number"),
        ({"inputs": [{"image_base64": "a?"}]}, "422 inputs[0].image_base64: not base64"),
        ({"inputs": [{"image_base64": "AAAA"}]}, "422 inputs[0].image_base64: not a readable PNG or JPEG"),
        ({"inputs": [PIXELS.tolist()], "user_id": 7}, "422 user_id: is a number"),
        ({"inputs": [PIXELS.tolist()], "user_id": ""}, "422 user_id: is 0 characters"),
        ({"inputs": [PIXELS.tolist()], "user_id": "x" * 257}, "422 user_id: is 257 characters"),
    ],
)
def test_the_fault_is_named(body: Any, fault: str) -> None:
    assert refusal(body).startswith(fault)


@pytest.mark.parametrize("bad", [256, -1, 0.5, 1e999, 2**70, -(2**63)])
@pytest.mark.parametrize("flat", [True, False])
def test_a_value_that_is_no_pixel_is_named_with_its_place(bad: float, flat: bool) -> None:
    image: Any = [PIXELS.tolist()]
    image[0][2][5] = bad
    body = json.dumps({"inputs": [image[0] if flat else image]}).replace("Infinity", "1e999").encode()
    found = refusal(body)
    assert found.startswith(("422 inputs[0][0][2][5]: ", "400 body: not JSON")), found
    assert bad == 1e999 or "allowed: whole numbers from 0 to 255" in found


def test_a_float_input_refuses_what_float32_cannot_hold() -> None:
    found = refusal({"inputs": [[0, 0, 1e300, 0]]}, array_of("float32"))
    assert found == "422 inputs[0][2]: 1e+300; allowed: finite float32 numbers"
    assert refusal({"inputs": [{"image_base64": ""}]}, array_of("float32")).startswith("422 inputs[0]: is an object")


def test_other_formats_are_not_opened() -> None:
    assert "not a readable PNG or JPEG" in refusal({"inputs": [picture_row(file_of(PIXELS, "GIF"))]})
    assert "more than 8 bits" in refusal({"inputs": [picture_row(file_of(PIXELS.astype(np.uint16) * 257))]})


def test_a_small_file_that_unpacks_into_a_large_picture_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture, "PIXELS_MAX", 1000)
    assert "pixels; allowed: 1000 pixels" in refusal({"inputs": [picture_row(file_of(np.zeros((40, 40), np.uint8)))]})
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 500)  # Pillow's own guard, which raises before ours is asked
    assert "too many pixels" in refusal({"inputs": [picture_row(file_of(np.zeros((40, 40), np.uint8)))]})


def test_many_pictures_that_unpack_into_too_much_together_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inputs, "PIXELS_MAX_TOGETHER", 4000)
    row = picture_row(file_of(np.zeros((40, 40), np.uint8)))
    assert len(ask({"inputs": [row] * 2}).inputs["images"]) == 2
    assert "inputs[2].image_base64: too many pixels with those before it" in refusal({"inputs": [row] * 3})


@pytest.mark.parametrize("flat", [True, False])
def test_true_among_the_numbers_is_no_pixel(flat: bool) -> None:
    image: Any = [PIXELS.tolist()]
    image[0][2][5] = True
    fault = f"422 inputs[0]{'' if flat else '[0]'}[2][5]: is true or false"
    assert refusal({"inputs": [image[0] if flat else image]}).startswith(fault)
    assert len(ask({"inputs": [PIXELS.tolist()], "user_id": "true"}).inputs["images"]) == 1


def test_damaged_pictures_are_refused_and_never_a_fault_of_ours() -> None:
    draw = random.Random(0)
    for content in (file_of(PIXELS), file_of(PIXELS, "JPEG")):
        for _ in range(150):
            damaged = bytearray(content[: draw.randrange(len(content) // 2, len(content) + 1)])
            for _ in range(3):
                damaged[draw.randrange(8, len(damaged))] = draw.randrange(256)
            try:
                ask({"inputs": [picture_row(bytes(damaged))]})
            except Refused as e:
                assert e.status == 422


def test_the_example_of_the_documentation_is_answered(tmp_path: Path) -> None:
    from serving.openapi import document, example
    from serving.package import read as read_package
    from tests.made_package import make

    package = read_package(make(tmp_path / "p"))
    assert ask(example(package)).inputs["images"].shape == (1, 1, 8, 8)
    shown = document(package)["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]["example"]
    assert shown == example(package)
