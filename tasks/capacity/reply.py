"""Just enough HTTP/1.1 to tell where one answer ends and the next begins (RFC 9112); no socket in here.

A general client costs more processor time than the service that it measures; this one looks at the status, the length
and nothing else.
"""

from __future__ import annotations

from typing import NamedTuple

HEAD_MOST = 65_536
NO_BODY = (204, 304)


class Reply(NamedTuple):
    """A whole answer; `closes`: the connection cannot be used again. `body` is empty unless it was asked for."""

    status: int
    closes: bool
    body: bytes


class ReplyError(Exception):
    """What came is not HTTP/1.x."""


class Replies:
    """Cuts a stream of bytes into answers."""

    def __init__(self, *, keep: bool = False) -> None:
        self._buffer = bytearray()
        self._keep = keep

    def feed(self, data: bytes) -> list[Reply]:
        """Every answer that `data` completes; ReplyError when it is none."""
        self._buffer += data
        found = []
        while (reply := self._next()) is not None:
            found.append(reply)
        return found

    def _next(self) -> Reply | None:
        """The first whole answer in the buffer, taken out of it."""
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self._buffer) > HEAD_MOST:
                raise ReplyError(f"a head of more than {HEAD_MOST} bytes")
            return None
        head = bytes(self._buffer[: end + 2]).lower()
        if not head.startswith(b"http/1.") or not head[9:12].isdigit():
            raise ReplyError(f"not HTTP: {head[:40]!r}")
        status, start = int(head[9:12]), end + 4
        if status < 200:  # 100 Continue and its like: the answer itself is still to come
            del self._buffer[:start]
            return self._next()
        chunked = b"chunked" in _value(head, b"transfer-encoding")
        span = self._chunks(start) if chunked else self._sized(head, start, status)
        if span is None:
            return None
        stop, body = span
        del self._buffer[:stop]
        return Reply(status, b"close" in _value(head, b"connection"), body)

    def _sized(self, head: bytes, start: int, status: int) -> tuple[int, bytes] | None:
        """Where a body of a declared length ends, and the body; None when it is not all there."""
        length = _value(head, b"content-length")
        if not length.isdigit() and status not in NO_BODY:
            raise ReplyError(f"status {status} with neither a length nor chunks")
        stop = start + (int(length) if length.isdigit() and status not in NO_BODY else 0)
        if len(self._buffer) < stop:
            return None
        return stop, bytes(self._buffer[start:stop]) if self._keep else b""

    def _chunks(self, start: int) -> tuple[int, bytes] | None:
        """The same for a body in chunks; trailers are passed over."""
        parts, at = list[bytes](), start
        while (line := self._buffer.find(b"\r\n", at)) >= 0:
            size = bytes(self._buffer[at:line]).partition(b";")[0].strip()
            try:
                length = int(size, 16)
            except ValueError:
                raise ReplyError(f"a chunk of size {size[:20]!r}") from None
            if length == 0:
                return self._trailers(line, b"".join(parts))
            at = line + 2 + length + 2
            if len(self._buffer) < at:
                return None
            if self._keep:
                parts.append(bytes(self._buffer[line + 2 : at - 2]))
        return None

    def _trailers(self, line: int, body: bytes) -> tuple[int, bytes] | None:
        """The end of a body whose last chunk's size stands before `line`: an empty line, after trailers if any."""
        end = self._buffer.find(b"\r\n\r\n", line)
        return None if end < 0 else (end + 4, body)


def _value(head: bytes, name: bytes) -> bytes:
    """The value of a header in a lower-case head, or nothing."""
    at = head.find(b"\r\n" + name + b":")
    if at < 0:
        return b""
    at += len(name) + 3
    return head[at : head.find(b"\r\n", at)].strip()
