"""Requests as real clients send them: distinct users, and the rows of `val` where they are at hand, else random ones.

A network with early exits or a cache answers one row over and over in no time at all, so every request has its own row
as far as they go. The form is that of the service's own example (GET /info): lists of numbers, a PNG, a WAV or a text.
"""

from __future__ import annotations

import base64
import io
import json
import wave
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tasks.core import artifact
from tasks.core.dataset import read_data
from tasks.core.errors import ArtifactError

Array = np.ndarray[Any, Any]
MOST = 512  # distinct requests
WORDS = (5, 40)  # of a random text
TOKENIZER = "tokenizer.json"


def bodies(about: Mapping[str, Any], package: Path, seed: int = 0) -> tuple[list[bytes], str]:
    """JSON bodies for /predict, one row and one user each, and where the rows are from; `about` is what /info says."""
    rng = np.random.default_rng(seed)
    inputs = about["preprocess"]["inputs"]
    rows = _val(inputs)
    origin = "rows of val" if rows is not None else "random rows"
    example = about["example"]["inputs"][0]
    if about["preprocess"]["kind"] == "text":
        plain: Sequence[Any] = [{"text": text} for text in texts(package, rows, rng)]
    else:
        (given,) = inputs.values()
        array = random_rows(given["shape"], given["dtype"], rng) if rows is None else next(iter(rows.values()))
        sound = about["preprocess"].get("sound") or {}
        plain = [_plain(row, example, int(sound.get("rate", 16_000))) for row in array]
    users = rng.permutation(10 * len(plain))[: len(plain)]
    made = [{"inputs": [row], "user_id": f"user-{user}"} for row, user in zip(plain, users, strict=True)]
    return [json.dumps(one, separators=(",", ":")).encode() for one in made], origin


def posts(bodies: Sequence[bytes], host: str, headers: Mapping[str, str]) -> list[bytes]:
    """Whole HTTP requests, ready to be sent."""
    more = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    head = f"POST /predict HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n{more}Content-Length: "
    return [f"{head}{len(body)}\r\n\r\n".encode() + body for body in bodies]


def random_rows(shape: Sequence[int], dtype: str, rng: np.random.Generator) -> Array:
    """(MOST, *shape): whole numbers over 0..255 at most, or normal ones."""
    kind, whole = np.dtype(dtype), (MOST, *shape)
    if kind.kind in "iu":
        return rng.integers(0, min(256, np.iinfo(kind).max), whole).astype(kind)
    return rng.normal(size=whole).astype(kind)


def texts(package: Path, rows: Mapping[str, Array] | None, rng: np.random.Generator) -> list[str]:
    """Texts of `val`, read back from their tokens; without it, random words that the tokenizer knows."""
    file = package / TOKENIZER
    if rows is not None:
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(file))
        read = [tokenizer.decode(ids.tolist(), skip_special_tokens=True).strip() for ids in rows["input_ids"]]
        if whole := [text for text in read if text]:
            return whole
    known = json.loads(file.read_bytes())["model"].get("vocab", {})
    words = [word for word in (known if isinstance(known, dict) else (w for w, _ in known)) if word.isalpha()]
    return [" ".join(rng.choice(words or ["word"], rng.integers(*WORDS))) for _ in range(MOST)]


def _val(inputs: Mapping[str, Any]) -> dict[str, Array] | None:
    """Up to MOST rows of `val` of each input; None when there is no data set here, or it is another one's."""
    try:
        val = read_data(artifact.DATA).split("val")
    except ArtifactError:
        return None
    found = {name: (list(rows.shape[1:]), str(rows.dtype)) for name, rows in val.inputs.items()}
    wanted = {name: (list(given["shape"]), given["dtype"]) for name, given in inputs.items()}
    if found != wanted or not len(val):
        return None
    return {name: np.asarray(rows[: min(MOST, len(val))]) for name, rows in val.inputs.items()}


def _plain(row: Array, example: Any, rate: int) -> Any:
    """A row in the form of `example`."""
    if not isinstance(example, dict):
        return row.tolist()
    (key,) = example
    return {key: base64.b64encode(_wav(row, rate) if key == "audio_base64" else _png(row)).decode()}


def _png(row: Array) -> bytes:
    """(C, H, W) of 1 or 3 channels, 0..255, as a file."""
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(np.moveaxis(row, 0, -1).squeeze().astype(np.uint8)).save(out, format="PNG")
    return out.getvalue()


def _wav(row: Array, rate: int) -> bytes:
    """Samples, int16, as a file."""
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(row.astype("<i2").tobytes())
    return out.getvalue()
