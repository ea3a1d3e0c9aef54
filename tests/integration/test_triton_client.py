"""A stock Triton client talks to a running service, unchanged: the Open Inference Protocol with binary tensors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
from tritonclient import http
from tritonclient.utils import InferenceServerException

from tests import made_package
from tests.e2e.test_serve import ROOT, environment, serving

pytestmark = pytest.mark.integration
IMAGES = np.random.default_rng(8).integers(0, 256, (3, 1, 8, 8), dtype=np.uint8)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    root = tmp_path_factory.mktemp("triton")
    package = made_package.make(root / "package")
    with serving("serving.service:Stillroom", ROOT, environment(root / "home", package)) as client:
        yield client


@pytest.fixture(scope="module")
def triton(server: httpx.Client) -> Iterator[Any]:
    with http.InferenceServerClient(f"{server.base_url.host}:{server.base_url.port}") as client:
        yield client


def asked(images: np.ndarray[Any, Any] = IMAGES, *, binary: bool = True, datatype: str = "UINT8") -> list[Any]:
    tensor = http.InferInput("images", list(images.shape), datatype)
    tensor.set_data_from_numpy(images, binary_data=binary)
    return [tensor]


def test_it_is_alive_ready_and_says_what_it_takes(triton: Any) -> None:
    assert triton.is_server_live() and triton.is_server_ready() and triton.is_model_ready("stillroom")
    assert triton.is_model_ready("stillroom", "treatment")
    assert not triton.is_model_ready("resnet") and not triton.is_model_ready("stillroom", "3")
    assert "binary_tensor_data" in triton.get_server_metadata()["extensions"]
    about = triton.get_model_metadata("stillroom")
    assert about["versions"] == ["control", "treatment"]
    assert about["inputs"] == [{"name": "images", "datatype": "UINT8", "shape": [-1, 1, 8, 8]}]


@pytest.mark.parametrize("binary_in", [False, True])
@pytest.mark.parametrize("binary_out", [False, True])
@pytest.mark.parametrize("role", ["control", "treatment"])
def test_each_version_answers_with_its_own_model(triton: Any, binary_in: bool, binary_out: bool, role: str) -> None:
    outputs = [http.InferRequestedOutput(name, binary_data=binary_out) for name in ("labels", "probabilities")]
    given = {"model_version": role, "outputs": outputs, "request_id": "r1"}
    answer = triton.infer("stillroom", asked(binary=binary_in), **given)
    wanted = made_package.expected(role, IMAGES)
    assert np.allclose(answer.as_numpy("probabilities"), wanted, atol=1e-5)
    labels = [one.decode() if isinstance(one, bytes) else one for one in answer.as_numpy("labels")]
    assert labels == [made_package.LABELS[i] for i in wanted.argmax(1)]
    told = answer.get_response()
    assert (told["id"], told["model_name"], told["model_version"]) == ("r1", "stillroom", role)


@pytest.mark.parametrize("dtype", ["FP32", "INT64", "FP16"])
def test_other_types_that_lose_nothing_are_taken(triton: Any, dtype: str) -> None:
    images = IMAGES.astype({"FP32": np.float32, "INT64": np.int64, "FP16": np.float16}[dtype])
    answer = triton.infer("stillroom", asked(images, datatype=dtype))
    assert np.allclose(answer.as_numpy("probabilities"), made_package.expected("control", IMAGES), atol=1e-5)


def test_the_split_headers_and_counts_are_those_of_predict(triton: Any, server: httpx.Client) -> None:
    for i in range(20):
        by_predict = server.post("/predict", json={"inputs": IMAGES.tolist(), "user_id": f"u{i}"})
        for given in ({"parameters": {"user_id": f"u{i}"}}, {"headers": {"X-Stillroom-User": f"u{i}"}}):
            told = triton.infer("stillroom", asked(), **given).get_response()
            assert told["model_version"] == by_predict.json()["variant"]
    forced = triton.infer("stillroom", asked(), headers={"X-Stillroom-Variant": "treatment"})
    assert forced.get_response()["model_version"] == "treatment"
    before = server.get("/metrics").text
    triton.infer("stillroom", asked(), model_version="treatment")
    after = server.get("/metrics").text
    line = 'stillroom_requests_total{status="200",variant="treatment"} '
    count = [float(text.split(line)[1].split("\n")[0]) for text in (before, after)]
    assert count[1] == count[0] + 1


@pytest.mark.parametrize(
    ("images", "given", "fault"),
    [
        (IMAGES[:, :, :7], {}, r"inputs\[0\]\.shape: \[3, 1, 7, 8\]; allowed: \['N', 1, 8, 8\] or \['N', 8, 8\]"),
        (np.concatenate([IMAGES] * 2), {}, r"inputs\[0\]\.shape: 6 rows; allowed: 1 to 4"),
        (IMAGES, {"model_version": "3"}, "unknown; allowed: control, treatment"),
        (IMAGES, {"headers": {"X-Stillroom-Variant": "control"}, "model_version": "treatment"}, "the path says treatm"),
        (IMAGES, {"sequence_id": 5}, "parameters.sequence_id: this model keeps nothing"),
        (IMAGES, {"outputs": [http.InferRequestedOutput("logits")]}, r"outputs\[0\]\.name: 'logits'; allowed: prob"),
        (IMAGES, {"request_compression_algorithm": "gzip"}, "Content-Encoding: gzip; allowed: none"),
    ],
)
def test_a_mistake_is_named_to_the_client(triton: Any, images: Any, given: dict[str, Any], fault: str) -> None:
    with pytest.raises(InferenceServerException, match=fault):
        triton.infer("stillroom", asked(images), **given)
