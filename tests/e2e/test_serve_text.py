"""A real `bentoml serve` over a package of text: plain text in, the split and the refusals as for any other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests import made_package
from tests.e2e.test_serve import ROOT, environment, serving

pytestmark = pytest.mark.e2e
TEXTS = ["a good film", "bad bad film", "a a a a a a good good good"]


def test_plain_text_is_answered_by_both_models(tmp_path: Path) -> None:
    package = made_package.make_text(tmp_path / "package")
    with serving("serving.service:Stillroom", ROOT, environment(tmp_path / "home", package)) as client:
        asked = set()
        for i in range(20):
            body = {"inputs": [{"text": TEXTS[0]}, *TEXTS[1:]], "user_id": f"u{i}"}
            answer = client.post("/predict", json=body)
            assert answer.status_code == 200, answer.text
            role = answer.json()["variant"]
            wanted = made_package.expected_of_texts(role, TEXTS)
            assert np.allclose(answer.json()["probabilities"], wanted, atol=1e-5)
            assert answer.json()["labels"] == [made_package.LABELS[k] for k in wanted.argmax(1)]
            asked.add(role)
        assert asked == {"control", "treatment"}
        blank = client.post("/predict", json={"inputs": [" "]})
        assert (blank.status_code, blank.json()["error"][:19]) == (422, "inputs[0]: is empty")
        assert client.post("/predict", content=b" " * 20_001).status_code == 413
        info = client.get("/info").json()
        assert info["preprocess"]["kind"] == "text"
        assert client.post("/predict", json=info["example"]).status_code == 200
        assert 'id="text"' in client.get("/").text
