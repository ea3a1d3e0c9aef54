"""The ways to ask the servers of the comparison, each one row of its table."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers import network, servers
from benchmarks.peers.servers import Server

REFERENCE = "FastAPI, lean"
AB = "Stillroom, JSON, A/B"
COUNT = 512  # distinct requests
JSON, RAW = "application/json", "application/octet-stream"
USER = "X-Stillroom-User: user-{i}\r\n"


@dataclass(frozen=True)
class Way:
    """One row of the table: a server, and how it is asked."""

    name: str
    server: Server
    posts: Sequence[bytes]


def posts(path: str, bodies: Sequence[bytes], kind: str = JSON, more: str = "") -> list[bytes]:
    """Whole HTTP requests; `more` is further headers, in which {i} is the request's number."""
    made = []
    for i, body in enumerate(bodies):
        told = f"Content-Type: {kind}\r\n{more.format(i=i)}Content-Length: {len(body)}"
        made.append(f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{told}\r\n\r\n".encode() + body)
    return made


def protocol_posts(raw: Sequence[bytes]) -> list[bytes]:
    """The Open Inference Protocol with binary tensors both ways, as tritonclient sends it."""
    tensor = {"name": "images", "shape": [1, 1, 28, 28], "datatype": "UINT8", "parameters": {"binary_data_size": 784}}
    head = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
    more = f"Inference-Header-Content-Length: {len(head)}\r\n{USER}"
    return posts("/v2/models/stillroom/infer", [head + one for one in raw], RAW, more)


def asked(pictures: np.ndarray[Any, Any]) -> tuple[list[bytes], list[bytes], list[bytes]]:
    """The same pictures as our and FastAPI's JSON, as the Open Inference Protocol's, and raw."""
    own, protocol = [], []
    for i, picture in enumerate(pictures):
        own.append(json.dumps({"inputs": [picture.tolist()], "user_id": f"user-{i}"}, separators=(",", ":")).encode())
        tensor = {"name": "images", "shape": [1, 1, 28, 28], "datatype": "UINT8", "data": picture.ravel().tolist()}
        protocol.append(json.dumps({"inputs": [tensor]}, separators=(",", ":")).encode())
    return own, protocol, [picture.tobytes() for picture in pictures]


@contextmanager
def ways(root: Path, mlserver: Path | None, only: Sequence[str] | None) -> Iterator[list[Way]]:
    """All of them, running."""
    own, protocol, raw = asked(network.pictures(COUNT))
    model = root / "model.onnx"
    model.write_bytes(network.mlp(0))
    with ExitStack() as stack:

        def start(server: Any) -> Server:
            started: Server = stack.enter_context(server)
            return started

        def ours(name: str, **rollout: Any) -> Server:
            return start(servers.stillroom(network.package(root / name, **rollout), root / f"{name}_home"))

        fast = start(servers.plain_fastapi(model, root / "fastapi.log"))
        found = [Way(REFERENCE, fast, posts("/lean", own))]
        if only is not None:
            yield [*found, *(EXTRA[name](ours, own, raw) for name in only)]
            return
        found += [
            Way("FastAPI, tutorial (async def)", fast, posts("/tutorial", own)),
            Way("FastAPI, tutorial (def)", fast, posts("/tutorial_thread", own)),
            Way("FastAPI, raw rows", fast, posts("/raw", raw, RAW)),
        ]
        plain = ours("plain")
        found += [
            Way("Stillroom, JSON", plain, posts("/predict", own)),
            Way("Stillroom, raw rows", plain, posts("/predict", raw, RAW, USER)),
        ]
        found += [make(ours, own, raw) for make in EXTRA.values()]
        bento = start(servers.plain_bentoml(model, root / "bento_home"))
        found.append(Way("BentoML", bento, posts("/predict", own)))
        if mlserver is not None:
            peer = start(servers.mlserver(model, mlserver, root / "mlserver"))
            found.append(Way("MLServer, JSON", peer, posts("/v2/models/network/infer", protocol)))
        yield found


Ours = Callable[..., Server]
Make = Callable[[Ours, Sequence[bytes], Sequence[bytes]], Way]
EXTRA: dict[str, Make] = {
    "ab": lambda ours, own, _: Way(AB, ours("ab", treatment_share=0.5), posts("/predict", own)),
    "shadow": lambda ours, own, _: Way(
        "Stillroom, JSON, A/B, shadow of 10 %",
        ours("shadow", treatment_share=0.5, shadow={"share": 0.1, "queue": 256}),
        posts("/predict", own),
    ),
    "all_shadow": lambda ours, own, _: Way(
        "Stillroom, JSON, treatment alone, shadow of 100 %",
        ours("all_shadow", treatment_share=1.0, shadow={"share": 1.0, "queue": 256}),
        posts("/predict", own),
    ),
    "cache": lambda ours, own, _: Way(
        "Stillroom, JSON, cache, every input comes again",
        ours("cache", cache={"entries": COUNT}),
        posts("/predict", own),
    ),
    "miss": lambda ours, own, _: Way(
        "Stillroom, JSON, cache that never hits", ours("miss", cache={"entries": 1}), posts("/predict", own)
    ),
    "v2": lambda ours, _, raw: Way("Stillroom, /v2, binary tensors", ours("v2"), protocol_posts(raw)),
}
