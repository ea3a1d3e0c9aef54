"""Keeping other people's progress chatter out of a step's log."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout


@contextmanager
def quiet() -> Iterator[None]:
    """Drop what Python code prints, logs and warns inside; an exception still comes out.

    For the ONNX exporter and ONNX Runtime's quantizer, which report harmless things by the page. Whoever uses this
    must check the result by itself.
    """
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
