"""/predict: a body of JSON, or of raw rows; an answer in JSON."""

from __future__ import annotations

import orjson

from serving import inputs, raw
from serving.answer import Answered, Reply
from serving.ask import Headers, content_type, user_of
from serving.inputs import Asked
from serving.live import Live
from serving.package import Role
from serving.refusal import Refused

JSON = "application/json"


class Predict:
    """The form of /predict."""

    role: Role | None = None

    def read(self, live: Live, headers: Headers, body: bytes) -> Asked:
        """JSON or raw rows, by Content-Type; 415 for anything else."""
        kind, package = content_type(headers), live.package
        rows_max, tokens = package.rollout.limits.rows, live.engine.tokens
        if kind == JSON:
            asked = inputs.read(body, package.preprocess, rows_max=rows_max, tokens=tokens)
            return asked if asked.user_id is not None else Asked(asked.inputs, user_of(headers))
        if kind == raw.MEDIA_TYPE and tokens is None:
            return Asked(raw.read(body, headers, package.preprocess, rows_max), user_of(headers))
        allowed = JSON if tokens is not None else f"{JSON} or {raw.MEDIA_TYPE}"
        raise Refused(f"Content-Type: {kind[:80]}; allowed: {allowed}", 415)

    def write(self, asked: Asked, answered: Answered) -> Reply:
        """One label and one probability a class, a row."""
        package = answered.live.package
        content = {
            "variant": answered.role,
            "model": package.name(answered.role),
            "labels": [package.labels[i] for i in answered.classes],
            "probabilities": answered.shares,
        }
        return Reply(orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY))
