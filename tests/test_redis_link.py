"""A connection to a Redis: by socket, by TLS with and without a certificate that is known, and what its faults are."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.certificates import certificate
from tests.redis_server import RedisServer, answering, serving_redis
from utils.redis_link import Link
from utils.shared import LinkFault, Refused

PING = [("PING",)]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with serving_redis(tmp_path, "--unixsocket", str(tmp_path / "redis.sock")) as server:
        yield server


@contextmanager
def with_tls(port: int, folder: Path) -> Iterator[str]:
    """Give the address of a server that passes on to a port what comes by TLS, under a certificate of its own."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate(folder, "redis"))

    def pass_on(one: socket.socket) -> None:
        with suppress(OSError), context.wrap_socket(one, server_side=True) as outer:
            inner = socket.create_connection(("127.0.0.1", port))
            back = threading.Thread(target=copied, args=(inner, outer), daemon=True)
            back.start()
            copied(outer, inner)
            inner.shutdown(socket.SHUT_RDWR)
            back.join()
            inner.close()

    with answering(pass_on) as url:
        yield url.replace("redis://", "rediss://")


def copied(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while piece := source.recv(65_536):
            target.sendall(piece)


def fault(url: str, *, verify_tls: bool = True) -> str:
    with pytest.raises(LinkFault) as caught:
        Link(url, verify_tls).ask(PING, 1.0, 1_000)
    return caught.value.fault


def test_a_socket_is_reached(server: RedisServer) -> None:
    link = Link(f"unix://{server.folder}/redis.sock")
    assert link.ask([("SET", "a", b"\x00"), ("GET", "a")], 1.0, 1_000) == [b"OK", b"\x00"]
    link.close()


def test_what_is_refused_is_told_and_the_connection_goes_on(server: RedisServer) -> None:
    link = Link(server.url)
    with pytest.raises(Refused) as caught:
        link.ask([("NO-SUCH-COMMAND",), ("SET", "a", "b")], 1.0, 1_000)
    assert caught.value.fault == "refused"
    assert link.ask([("GET", "a")], 1.0, 1_000) == [b"b"]
    link.close()


def test_a_certificate_that_nobody_signed_is_refused_unless_the_setting_takes_it(
    server: RedisServer, tmp_path: Path
) -> None:
    with with_tls(server.port, tmp_path) as url:
        assert fault(url) == "tls"
        link = Link(url, verify_tls=False)
        assert link.ask(PING, 1.0, 1_000) == [b"PONG"]
        assert not link.is_stale()
        link.close()


def test_one_without_tls_is_told(server: RedisServer) -> None:
    assert fault(server.url.replace("redis://", "rediss://")) in ("tls", "closed", "slow")


def test_faults_have_names(server: RedisServer, tmp_path: Path) -> None:
    assert fault(server.url.replace("/0", "/99")) == "refused"
    assert fault(f"unix://{tmp_path}/none.sock") == "unreachable"
    assert fault("redis://no-such-host.invalid") == "unreachable"
    server.client.config_set("requirepass", "secret")
    assert fault(server.url) == "password"
    assert fault(server.url.replace("//", "//:wrong@")) == "password"
