"""A gunicorn worker that reads requests before a thread gets them, so that slow clients cannot hold the threads.

Gunicorn's threaded worker gives a connection to a thread as soon as the first byte has arrived; four clients that send
a letter at a time then hold four threads. Here the loop that accepts connections also reads them, without blocking, and
hands over a request once its head and body are complete. A body above BUFFERED_BODY is left to the thread: the app
refuses it unread, unless the client has the right to send it.

PROBE has a thread of its own, so that a platform does not restart a site that is only busy.
"""

from __future__ import annotations

import re
import selectors
import socket
import struct
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from gunicorn.http import get_parser  # type: ignore[import-untyped]
from gunicorn.workers import gthread  # type: ignore[import-untyped]
from gunicorn.workers.gthread import TConn, ThreadWorker  # type: ignore[import-untyped]

HEAD_S = 10.0  # for a request's head, or between connecting and the first byte
BODY_BYTES_PER_S = 4 * 1024  # a body has HEAD_S more, and a second for each of these
LONGEST_HEAD = 32 * 1024
BUFFERED_BODY = 1024 * 1024 + 64 * 1024  # the largest form, with what surrounds it
MOST_BUFFERED = 24 * 1024 * 1024  # of all connections together
LARGE_REQUEST = 256 * 1024
BUFFERED_WHEN_LOW = MOST_BUFFERED // 8  # while memory is low
PROBE = re.compile(rb"(?:GET|HEAD) /livez[ ?]")
AT_ONCE = 64 * 1024
STOP_GRACE_S = 3  # for a connection that has sent nothing, when the worker stops
STALLED_S = 20  # without a byte read or taken by a client that a thread serves
_STALLED = struct.pack("ll", STALLED_S, 0)
# A body that the app did not read is read to its end, so that the connection can be kept; a large one is not awaited.
gthread.DEFAULT_WORKER_DATA_TIMEOUT = 0.1
_LENGTH = re.compile(rb"^content-length:[ \t]*(\d{1,15})[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)
_CHUNKED = re.compile(rb"^transfer-encoding:.*chunked", re.IGNORECASE | re.MULTILINE)
_EXPECT = re.compile(rb"^expect:[ \t]*100-continue[ \t]*\r\n", re.IGNORECASE | re.MULTILINE)
_TIMEOUT = (408, "Request Timeout", "The request did not arrive in time.")
_TOO_LONG = (431, "Request Header Fields Too Large", "The head of the request is too long.")
_BUSY = (503, "Service Unavailable", "Too many requests are arriving at once: try again in a moment.")


@dataclass(eq=False, slots=True)
class ArrivingRequest:
    """A connection whose next request is being read, and what has arrived of it."""

    conn: TConn
    deadline: float = field(default_factory=lambda: time.monotonic() + HEAD_S)
    data: bytearray = field(default_factory=bytearray)
    nbytes: int = 0  # counted in the worker's `buffered`
    head: int = 0  # bytes of the head; 0 until it is complete
    body: int | None = 0  # announced bytes of the body; None if it comes in chunks
    chunk: int = 0  # where the next chunk begins

    def is_complete(self) -> bool:
        """Whether a thread may take the request without waiting for the client, or must decide about a large body."""
        if not self.head and not self._find_head():
            return False
        if self.body is None:
            return self._has_last_chunk() or len(self.data) - self.head > BUFFERED_BODY
        return self.body > BUFFERED_BODY or len(self.data) >= self.head + self.body

    @property
    def is_large(self) -> bool:
        """Whether the whole body is here and takes memory; one above BUFFERED_BODY is still with the client."""
        return self.nbytes > LARGE_REQUEST and (self.body or 0) <= BUFFERED_BODY

    def _find_head(self) -> bool:
        while self.data[:2] == b"\r\n":  # which may precede a request line
            del self.data[:2]
        end = self.data.find(b"\r\n\r\n")
        if end < 0:
            return False
        self.head = self.chunk = end + 4
        head = bytes(self.data[: self.head])
        length = _LENGTH.search(head)
        self.body = None if _CHUNKED.search(head) else int(length.group(1)) if length else 0
        allowed = BUFFERED_BODY if self.body is None else min(self.body, BUFFERED_BODY)
        self.deadline += allowed / BODY_BYTES_PER_S
        return True

    def take_expect(self) -> bool:
        """Remove `Expect: 100-continue` from the head, and return whether the client waits for an answer to it."""
        match = _EXPECT.search(self.data, 0, self.head)
        if match is None or (self.body or 0) > BUFFERED_BODY:
            return False
        del self.data[match.start() : match.end()]
        self.head -= match.end() - match.start()
        self.chunk = self.head
        return True

    def _has_last_chunk(self) -> bool:
        """Follow the chunks that have arrived; a size that is no number is left to the parser to refuse."""
        while (line := self.data.find(b"\r\n", self.chunk)) >= 0:
            try:
                size = int(self.data[self.chunk : line].split(b";")[0], 16)
            except ValueError:
                return True
            if size <= 0:
                return self.data.find(b"\r\n\r\n", line) >= 0  # after the trailers, of which there are mostly none
            following = line + 2 + size + 2
            if following > len(self.data):
                return False
            self.chunk = following
        return False


class BufferedThreadWorker(ThreadWorker):  # type: ignore[misc]
    """Gunicorn's threaded worker, with requests read in its loop."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.arriving: dict[TConn, ArrivingRequest] = {}
        self.buffered = 0  # bytes
        self.large: deque[ArrivingRequest] = deque()  # complete ones, the first of which a thread has
        self.is_memory_low: Callable[[], bool] = lambda: False  # the memory guard, once the app is there

    def init_process(self) -> None:
        self.probes = ThreadPoolExecutor(1, "probe")
        super().init_process()

    def enqueue_req(self, conn: TConn) -> None:
        """Read a request, of a new connection or one kept alive, and only then give it to a thread."""
        if self.cfg.is_ssl:
            super().enqueue_req(conn)
            return
        request = ArrivingRequest(conn)
        if conn.parser is None:
            conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _STALLED)
            conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _STALLED)
        else:
            self._add(request, conn.parser.unreader.take_buffered())
        conn.sock.setblocking(False)
        self.arriving[conn] = request
        self.poller.register(conn.sock, selectors.EVENT_READ, partial(self._read, request))
        self._read(request)

    def _read(self, request: ArrivingRequest, _socket: object = None) -> None:
        """Take what has arrived, once: every connection has its turn."""
        try:
            piece = request.conn.sock.recv(AT_ONCE)
        except (BlockingIOError, InterruptedError):
            piece = None
        except OSError:
            piece = b""
        if piece == b"":
            self._drop(request)
            return
        self._add(request, piece or b"")
        had_head = request.head
        if request.is_complete():
            self._hand_over(request)
        elif self.buffered > (BUFFERED_WHEN_LOW if self.is_memory_low() else MOST_BUFFERED):
            self._drop(request, _BUSY)
        elif not request.head and len(request.data) > LONGEST_HEAD:
            self._drop(request, _TOO_LONG)
        elif request.head and not had_head and request.take_expect():
            self._send(request, b"HTTP/1.1 100 Continue\r\n\r\n")

    def _add(self, request: ArrivingRequest, piece: bytes) -> None:
        request.data += piece
        request.nbytes += len(piece)
        self.buffered += len(piece)

    def _forget(self, request: ArrivingRequest) -> None:
        self.poller.unregister(request.conn.sock)
        del self.arriving[request.conn]

    def _hand_over(self, request: ArrivingRequest) -> None:
        """Give a request to a thread; of those with a large body, which takes memory as it is parsed, one at a time."""
        self._forget(request)
        if request.is_large:
            self.large.append(request)
            if len(self.large) > 1:
                return
        self._submit(request)

    def _submit(self, request: ArrivingRequest) -> None:
        conn = request.conn
        conn.sock.setblocking(True)
        if conn.parser is None:
            conn.parser = get_parser(self.cfg, conn.sock, conn.client)
        pool = self.probes if PROBE.match(request.data) else self.tpool
        conn.parser.unreader.unread(bytes(request.data))
        request.data = bytearray()
        conn.initialized = conn.data_ready = True
        future = pool.submit(self.handle, conn)
        future.add_done_callback(lambda done: self.method_queue.defer(self._finish, request, done))

    def _finish(self, request: ArrivingRequest, done: Any) -> None:
        self.buffered -= request.nbytes
        self.finish_request(request.conn, done)
        if self.large and self.large[0] is request:
            self.large.popleft()
            if self.large:
                self._submit(self.large[0])

    def _drop(self, request: ArrivingRequest, refusal: tuple[int, str, str] | None = None) -> None:
        """Close a connection, with an answer if it has sent anything."""
        self._forget(request)
        self.buffered -= request.nbytes
        if refusal and request.data:
            status, reason, text = refusal
            self._send(
                request,
                f"HTTP/1.1 {status} {reason}\r\nConnection: close\r\nContent-Type: text/plain\r\n"
                f"Content-Length: {len(text)}\r\n\r\n{text}".encode(),
            )
        self.nr_conns -= 1
        request.conn.close()

    def _send(self, request: ArrivingRequest, answer: bytes) -> None:
        try:
            request.conn.sock.send(answer)
        except OSError:
            self.log.debug("A client left before its answer")

    def murder_pending(self) -> None:
        """Close connections whose request has not arrived in time; gunicorn's loop calls this every second."""
        super().murder_pending()
        now = time.monotonic()
        # A client that connected just before this worker began to stop is about to send its request.
        silent = now if self.alive else now + HEAD_S - STOP_GRACE_S
        for request in list(self.arriving.values()):
            if request.deadline < (now if request.data else silent):
                self._drop(request, _TIMEOUT)
