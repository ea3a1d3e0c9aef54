"""POST /v2/models/stillroom[/versions/ROLE]/infer: the same way to an answer as /predict, in the protocol's form."""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson

from serving.answer import Answered, Reply
from serving.ask import Headers, user_of
from serving.inputs import Asked
from serving.live import Live
from serving.lossless import cast
from serving.package import Role
from serving.refusal import Refused
from serving.text import text_of
from serving.v2.model import MODEL, OUTPUTS, TEXT
from serving.v2.request import LENGTH, Request, Wanted, parse
from serving.v2.tensor import NAMES, datatype_of, numbers, packed, texts


class Infer:
    """The form of the protocol, for one version or, without `role`, for whom the split says."""

    def __init__(self, role: Role | None) -> None:
        self.role = role

    def read(self, live: Live, headers: Headers, body: bytes) -> Asked:
        """The rows of the one input; Refused names what does not fit."""
        request = parse(body, headers)
        for i, wanted in enumerate(request.wanted):
            if wanted.name not in OUTPUTS:
                raise Refused(f"outputs[{i}].name: {wanted.name[:80]!r}; allowed: {' or '.join(OUTPUTS)}")
        user = request.user_id if request.user_id is not None else user_of(headers)
        return Asked(_inputs(live, request, b"true" in body or b"false" in body), user, request)

    def write(self, asked: Asked, answered: Answered) -> Reply:
        """The outputs that were asked for, each in JSON or as bytes behind it."""
        request = asked.origin
        assert isinstance(request, Request), "read above"
        wanted = request.wanted or tuple(Wanted(name, request.binary) for name in OUTPUTS)
        behind: list[bytes] = []
        outputs = []
        for one in wanted:
            output, content = _output(one, answered)
            outputs.append(output)
            behind.append(content)
        told: dict[str, Any] = {"model_name": MODEL, "model_version": answered.role, "outputs": outputs}
        if request.id is not None:
            told["id"] = request.id
        head = orjson.dumps(told, option=orjson.OPT_SERIALIZE_NUMPY)
        if not any(behind):
            return Reply(head)
        return Reply(
            b"".join((head, *behind)), b"application/octet-stream", ((LENGTH.lower().encode(), b"%d" % len(head)),)
        )


def _inputs(live: Live, request: Request, booleans: bool) -> dict[str, np.ndarray[Any, Any]]:
    """The network's arrays."""
    preprocess, tokens, rows_max = live.package.preprocess, live.engine.tokens, live.package.rollout.limits.rows
    (name,) = preprocess.inputs if tokens is None else (TEXT,)
    found = [str(tensor.get("name"))[:80] for tensor, _ in request.tensors]
    if found != [name]:
        raise Refused(f"inputs: {', '.join(found[:5]) or 'none'}; allowed: exactly one, named {name}")
    ((tensor, binary),) = request.tensors
    if tokens is not None:
        datatype_of(tensor, "inputs[0]", ("BYTES",))
        rows = texts(tensor, "inputs[0]", binary)
        _count(len(rows), rows_max)
        return tokens.rows([text_of(row, f"inputs[0].data[{i}]") for i, row in enumerate(rows)])
    if booleans and binary is None and _holds_boolean(tensor.get("data")):
        raise Refused("inputs[0].data: holds true or false; allowed: numbers")
    values, wanted = numbers(tensor, "inputs[0]", binary), preprocess.inputs[name]
    grey = preprocess.kind == "image" and preprocess.channels == 1
    if values.shape[1:] != wanted.shape and not (grey and values.shape[1:] == wanted.shape[1:]):
        flat = f" or {['N', *wanted.shape[1:]]}" if grey else ""
        raise Refused(f"inputs[0].shape: {list(values.shape)}; allowed: {['N', *wanted.shape]}{flat}")
    _count(len(values), rows_max)
    return {name: cast(values.reshape(len(values), *wanted.shape), wanted.dtype)}


def _count(rows: int, rows_max: int) -> None:
    if not 1 <= rows <= rows_max:
        raise Refused(f"inputs[0].shape: {rows} rows; allowed: 1 to {rows_max} a request")


def _holds_boolean(data: Any) -> bool:
    return any(_holds_boolean(one) for one in data) if isinstance(data, list) else isinstance(data, bool)


def _output(wanted: Wanted, answered: Answered) -> tuple[dict[str, Any], bytes]:
    """An output's JSON, and its bytes where it is wanted as such."""
    shares, labels = answered.shares, answered.live.package.labels
    output: dict[str, Any] = {"name": wanted.name}
    if wanted.name == "probabilities":
        output |= {"datatype": NAMES[shares.dtype.name], "shape": list(shares.shape)}
        content = shares.astype(shares.dtype.newbyteorder("<"), copy=False).tobytes() if wanted.binary else b""
        data: Any = shares.ravel()
    else:
        data = [labels[i] for i in answered.classes]
        output |= {"datatype": "BYTES", "shape": [len(data)]}
        content = packed(data) if wanted.binary else b""
    return output | ({"parameters": {"binary_data_size": len(content)}} if wanted.binary else {"data": data}), content
