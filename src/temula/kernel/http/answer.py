"""Reads the answer of somebody who may want to harm us: strictly, within bounds, and nothing of it twice.

llhttp reads, in its strict mode. What is not body counts against one allowance, whatever it is called: status line,
headers, chunk sizes, trailers, interim answers. Nothing here does input or output.
"""

from typing import Final

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from temula.kernel.http.model import UnknownCode

MAX_OVERHEAD: Final = 65536  # bytes that are not body
MAX_STATUS_LINE: Final = 4096
MAX_HEADER_LINES: Final = 100
MAX_INTERIM: Final = 8

_END: Final = b"\r\n\r\n"
_WITHOUT_BODY: Final = frozenset({204, 304})


class Stopped(Exception):
    """Raised inside the parser's callbacks, to leave it in the middle of a piece."""


class Answer:
    """The answers that come over one connection, one after the other; `start` begins the next.

    `status` is 0 until the final one has come. `ended` says that no more is read, and `code` what went wrong, if
    anything did. `truncated` says that the body went on, or may have, beyond what is kept.
    """

    __slots__ = (
        "_body", "_body_bytes", "_cap", "_complete", "_head", "_in_line", "_interim", "_keep", "_length",
        "_lines", "_parser", "_received", "_tail", "_too_much", "_until_close", "code", "ended",
        "headers", "keep_alive", "status", "truncated",
    )  # fmt: skip

    def __init__(self) -> None:
        self._parser = HttpResponseParser(self)
        self.start(0)

    def start(self, cap: int) -> None:
        """Read the next answer; of its body at most `cap` bytes are kept."""
        self._cap = cap
        self._received = self._body_bytes = self._interim = self._lines = self._head = 0
        self._length = -1
        self._body: bytes | bytearray = b""
        self._tail = b""
        self._complete = self._keep = self._too_much = self._until_close = False
        self._in_line = True
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.keep_alive = b""
        self.code: UnknownCode | None = None
        self.ended = False
        self.truncated = True

    @property
    def silent(self) -> bool:
        """Whether not one byte has come."""
        return self._received == 0

    @property
    def body(self) -> bytes:
        """What is kept of it."""
        return bytes(self._body)

    @property
    def reusable(self) -> bool:
        """Whether the answer ended exactly where it said, nothing came after it, and the connection goes on."""
        if not self._keep or self.code is not None:
            return False
        if self._length >= 0:
            return self._received == self._head + self._length
        # An empty line ends the last chunk or its trailers; there is none before it, unless it came after the end.
        return self._tail.endswith(_END) and not self._tail.endswith(b"\r\n" + _END)

    def feed(self, data: bytes) -> bool:
        """Read a piece; True once the answer has ended, well or not."""
        if self._received == 0:
            # A head in several pieces stays at 0, and its connection is not used again.
            self._head = data.find(_END) + len(_END)
        self._received += len(data)
        self._tail = data
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade):
            self._stop()
        else:
            if self._complete:
                self.ended = True
                return True
            self._keep_within_bounds(data)
        return self.ended

    def close(self, *, cleanly: bool) -> None:
        """No more comes. An answer without a length ends so, if the connection did not break."""
        del self._parser  # it holds us, and we it
        if self.ended:
            return
        if self._until_close and cleanly:
            self.truncated = False
            self._end(None)
        else:
            self._end("connection_closed")

    def fail(self, code: UnknownCode) -> None:
        """Give up on it, unless it has ended."""
        if not self.ended:
            self._end(code)

    def _end(self, code: UnknownCode | None) -> None:
        self.code = code
        self.ended = True

    def _stop(self) -> None:
        """The parser was left or found an error: what that means depends on how far the answer had come."""
        if self._complete:  # what follows a whole answer is nobody's answer
            self._keep = False
            self._end(None)
        elif self._body_bytes > self._cap or (self.status and self._too_much):
            self._end(None)  # the rest is not wanted
        elif self._too_much:
            self._end("response_headers_too_large")
        else:
            self._end("bad_response")

    def _keep_within_bounds(self, data: bytes) -> None:
        if self._in_line and not self.status:
            self._in_line = b"\n" not in data
            if self._in_line and self._received > MAX_STATUS_LINE:
                self._end("bad_response")
                return
        # A long body may come in many chunks, each with its size.
        if self._received - self._body_bytes > MAX_OVERHEAD + (self._body_bytes >> 3):
            self._end(None if self.status else "response_headers_too_large")

    # What the parser calls. An error raised here ends its piece.

    def on_message_begin(self) -> None:
        if self._complete:
            raise Stopped

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.status:  # trailers are counted and not kept
            self.headers.append((name, value))
        self._lines = lines = self._lines + 1
        if lines > MAX_HEADER_LINES:
            self._too_much = True
            raise Stopped

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if 100 <= status < 200 and status != 101:
            self._interim += 1
            self.headers.clear()
            if self._interim > MAX_INTERIM:
                raise Stopped
            return
        if status < 200:
            raise Stopped
        if self._head > MAX_OVERHEAD:
            self._too_much = True
            raise Stopped
        said = {name.lower(): value for name, value in self.headers}
        if status in _WITHOUT_BODY:
            self._length = 0
        elif b"content-length" in said:  # there is one: the parser takes no second
            self._length = int(said[b"content-length"])
        else:
            self._until_close = b"transfer-encoding" not in said
        if b"keep-alive" in said:
            self.keep_alive = said[b"keep-alive"]
        self.status = status

    def on_body(self, piece: bytes) -> None:
        before, cap = self._body_bytes, self._cap
        self._body_bytes = before + len(piece)
        kept = piece if before + len(piece) <= cap else piece[: cap - before]
        if not self._body:
            self._body = kept
        elif isinstance(self._body, bytearray):
            self._body += kept
        else:
            self._body = bytearray(self._body + kept)
        if before + len(piece) > cap:
            raise Stopped

    def on_message_complete(self) -> None:
        if not self.status:  # of an interim answer
            return
        self._complete = True
        self.truncated = False
        self._keep = self._parser.should_keep_alive()
