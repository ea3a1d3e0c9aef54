"""The protocol's form without a server: what is read, what is written, and how what does not fit is refused."""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.answer import Answered
from serving.engine import Engine
from serving.live import Live
from serving.package import read
from serving.refusal import Refused
from serving.v2.infer import Infer
from tests import made_package

IMAGES = np.arange(128, dtype=np.uint8).reshape(2, 1, 8, 8)
SHARES = np.array([[0.5, 0.25, 0.25], [0.125, 0.125, 0.75]], np.float32)


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Live:
    return Live.of(Engine(read(made_package.make(tmp_path_factory.mktemp("v2") / "package"))))


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Live:
    return Live.of(Engine(read(made_package.make_text(tmp_path_factory.mktemp("v2") / "package"))))


def tensor(**changed: Any) -> dict[str, Any]:
    made = {"name": "images", "shape": [2, 1, 8, 8], "datatype": "UINT8", "data": IMAGES.ravel().tolist()}
    return {key: value for key, value in {**made, **changed}.items() if value is not None}


def body(*tensors: Any, behind: bytes = b"", **more: Any) -> tuple[dict[bytes, bytes], bytes]:
    head = json.dumps({"inputs": list(tensors), **more}).encode()
    return {b"inference-header-content-length": str(len(head)).encode()}, head + behind


def binary(size: Any, **changed: Any) -> dict[str, Any]:
    return tensor(data=None, parameters={"binary_data_size": size}, **changed)


@pytest.mark.parametrize(
    "asked",
    [
        body(tensor()),
        body(tensor(data=IMAGES.tolist())),
        body(tensor(shape=[2, 8, 8])),
        body(tensor(datatype="FP64", data=IMAGES.ravel().astype(float).tolist())),
        body(binary(128), behind=IMAGES.tobytes()),
        body(binary(512, datatype="INT32"), behind=IMAGES.astype("<i4").tobytes()),
    ],
)
def test_the_same_rows_arrive_whatever_way_they_are_written(live: Live, asked: Any) -> None:
    got = Infer(None).read(live, *asked)
    assert got.rows == 2 and got.user_id is None
    assert got.inputs["images"].dtype == np.uint8 and (got.inputs["images"] == IMAGES).all()


@pytest.mark.parametrize("written", ["json", "binary"])
def test_texts_are_read_by_the_services_own_tokenizer(texts: Live, written: str) -> None:
    rows = ["good film", "bad ä"]
    packed = b"".join(struct.pack("<I", len(row.encode())) + row.encode() for row in rows)
    as_json = {"name": "text", "shape": [2], "datatype": "BYTES", "data": rows}
    as_bytes = {"name": "text", "shape": [2, 1], "datatype": "BYTES", "parameters": {"binary_data_size": len(packed)}}
    asked = body(as_json) if written == "json" else body(as_bytes, behind=packed)
    got = Infer(None).read(texts, *asked)
    assert texts.engine.tokens is not None
    for name, wanted in texts.engine.tokens.rows(rows).items():
        assert (got.inputs[name] == wanted).all()


@pytest.mark.parametrize("as_bytes", [False, True])
def test_an_answer_is_written_as_the_client_wants_it(live: Live, as_bytes: bool) -> None:
    form = Infer("treatment")
    asked = form.read(live, *body(tensor(), id="x", parameters={"binary_data_output": as_bytes}))
    reply = form.write(asked, Answered(live, "treatment", SHARES, [0, 2]))
    if not as_bytes:
        told = json.loads(reply.content)
        assert [one["data"] for one in told["outputs"]] == [SHARES.ravel().tolist(), ["zero", "two"]]
        return
    ((name, length),) = reply.headers
    assert name == b"inference-header-content-length" and reply.media_type == b"application/octet-stream"
    told, behind = json.loads(reply.content[: int(length)]), reply.content[int(length) :]
    sizes = [one["parameters"]["binary_data_size"] for one in told["outputs"]]
    assert sizes == [24, 15] and (told["id"], told["model_version"]) == ("x", "treatment")
    assert np.frombuffer(behind[:24], "<f4").tolist() == SHARES.ravel().tolist()
    assert behind[24:] == b"\4\0\0\0zero\3\0\0\0two"


@pytest.mark.parametrize(
    ("asked", "fault"),
    [
        (({}, b"{"), "body: not JSON"),
        (({b"inference-header-content-length": b"9"}, b"{}"), "Inference-Header-Content-Length: '9'; allowed"),
        (({b"inference-header-content-length": b"-1"}, b"{}"), "Inference-Header-Content-Length: '-1'; allowed"),
        (({}, b"[]"), "body: is a list; allowed: an object"),
        (({}, b"{}"), "inputs: is missing; allowed: a list"),
        (body(), "inputs: none; allowed: exactly one, named images"),
        (body(tensor(), tensor()), "inputs: images, images; allowed: exactly one"),
        (body(tensor(name="x")), "inputs: x; allowed: exactly one, named images"),
        (body(tensor(datatype="UINT7")), r"inputs\[0\].datatype: 'UINT7'; allowed: .*did you mean 'UINT"),
        (body(tensor(datatype="BYTES")), r"inputs\[0\].datatype: 'BYTES'; allowed: UINT8"),
        (body(tensor(shape=None)), r"inputs\[0\].shape: is None"),
        (body(tensor(shape=[True, 1, 8, 8])), r"inputs\[0\].shape: is \[True"),
        (body(tensor(shape=[-1, 1, 8, 8])), r"inputs\[0\].shape: is \[-1"),
        (body(tensor(shape=[0, 1, 8, 8], data=[])), "0 rows; allowed: 1 to 4"),
        (body(tensor(shape=[3, 1, 8, 8])), r"inputs\[0\].data: shape \[128\]; allowed: \[3, 1, 8, 8\], or flat"),
        (body(tensor(data=[256] * 128)), r"256; allowed: whole numbers from 0 to 255"),
        (body(tensor(data=[0.5] * 128)), r"0.5; allowed: whole numbers"),
        (body(tensor(datatype="FP32", data=[-1.0] * 128)), r"-1.0; allowed: whole numbers"),
        (body(tensor(data=[True] * 128)), "holds true or false"),
        (body(tensor(data=["0"] * 128)), "holds something that is not a number"),
        (body(tensor(data=[[0], [0, 1]])), "lists of unequal length"),
        (body(tensor(data={})), r"inputs\[0\].data: is an object"),
        (body(binary(128)), r"binary_data_size: 128; 0 bytes are there"),
        (body(binary(-1)), "binary_data_size: -1; 0 bytes"),
        (body(binary("9")), "binary_data_size: 9; 0 bytes"),
        (body(binary(127), behind=bytes(127)), r"inputs\[0\]: 127 bytes; allowed: 128"),
        (body(binary(128), behind=bytes(129)), "body: 1 bytes that no input's binary_data_size counts"),
        (body(tensor(parameters={"shared_memory_region": "r"})), "shared_memory_region: not here"),
        (body(tensor(), outputs=[{"name": "labels", "parameters": {"classification": 1}}]), "classification: not here"),
        (body(tensor(), outputs=[{"name": "x"}]), r"outputs\[0\].name: 'x'; allowed: probabilities or labels"),
        (body(tensor(), parameters={"binary_data_output": 1}), "binary_data_output: is a number"),
        (body(tensor(), parameters={"user_id": ""}), "user_id: is 0 characters"),
        (body(tensor(), id=5), "id: is a number"),
    ],
)
def test_what_does_not_fit_is_named(live: Live, asked: Any, fault: str) -> None:
    with pytest.raises(Refused, match=fault):
        Infer(None).read(live, *asked)


@pytest.mark.parametrize(
    ("packed", "shape", "fault"),
    [
        (b"\1\0\0", [1], "byte 0: cut off"),
        (b"\5\0\0\0good", [1], "byte 4: a text of 5 bytes; 4 are left"),
        (b"\1\0\0\0\xff", [1], "text 0: not UTF-8"),
        (b"\1\0\0\0a", [2], "1 texts; allowed: 2"),
        (b"\1\0\0\0 ", [1], r"inputs\[0\].data\[0\]: is empty"),
        (b"\1\0\0\0a", [1, 1, 1], r"allowed: \[N\] or \[N, 1\]"),
    ],
)
def test_bytes_that_are_no_texts_are_named(texts: Live, packed: bytes, shape: list[int], fault: str) -> None:
    given = {"name": "text", "shape": shape, "datatype": "BYTES", "parameters": {"binary_data_size": len(packed)}}
    with pytest.raises(Refused, match=fault):
        Infer(None).read(texts, *body(given, behind=packed))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | st.just(256),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["data", "parameters"]), inner),
    max_leaves=12,
)
SOME = st.fixed_dictionaries(
    {"name": st.just("images")},
    optional={
        "shape": st.lists(st.integers(-1, 2**70), max_size=4) | st.just([1, 8, 8]) | JSON,
        "datatype": st.sampled_from(["UINT8", "FP32", "INT64", "BYTES"]) | JSON,
        "data": st.lists(st.integers(0, 255), min_size=64, max_size=64) | JSON,
        "parameters": st.fixed_dictionaries({}, optional={"binary_data_size": st.integers(-1, 70) | JSON}) | JSON,
    },
)


@given(st.lists(SOME | JSON, max_size=2) | JSON, JSON, JSON, st.binary(max_size=70))
def test_whatever_is_sent_is_read_or_refused(live: Live, inputs: Any, outputs: Any, parameters: Any, behind: bytes):
    head = json.dumps({"inputs": inputs, "outputs": outputs, "parameters": parameters}).encode()
    try:
        got = Infer(None).read(live, {b"inference-header-content-length": str(len(head)).encode()}, head + behind)
    except Refused:
        return
    assert got.inputs["images"].shape[1:] == (1, 8, 8) and got.inputs["images"].dtype == np.uint8
