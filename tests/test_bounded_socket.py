"""A bounded socket: one deadline over all that is read, and no more bytes than allowed."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from utils.bounded_socket import BoundedSocket


@pytest.fixture
def pair() -> Iterator[tuple[BoundedSocket, socket.socket, list[float]]]:
    own, peer = socket.socketpair()
    now = [0.0]
    yield BoundedSocket(own, lambda: now[0]), peer, now
    own.close()
    peer.close()


def test_pieces_that_come_in_time_are_read_until_the_deadline(
    pair: tuple[BoundedSocket, socket.socket, list[float]],
) -> None:
    bounded, peer, now = pair
    bounded.allow(1.0, 100)
    for _ in range(2):
        peer.sendall(b"x")
        assert bounded.recv(10) == b"x"
        now[0] += 0.6
    peer.sendall(b"x")
    with pytest.raises(TimeoutError):
        bounded.recv(10)
    with pytest.raises(TimeoutError):
        bounded.sendall(b"x")
    bounded.allow(1.0, 100)
    bounded.sendall(b"y")
    assert (bounded.recv(10), peer.recv(10)) == (b"x", b"y")


def test_nothing_is_waited_for_longer_than_allowed(pair: tuple[BoundedSocket, socket.socket, list[float]]) -> None:
    bounded, _, _ = pair
    bounded.allow(0.01, 100)
    with pytest.raises(TimeoutError):
        bounded.recv(10)


def test_more_than_allowed_is_not_read(pair: tuple[BoundedSocket, socket.socket, list[float]]) -> None:
    bounded, peer, _ = pair
    bounded.allow(1.0, 4)
    peer.sendall(b"1234")
    assert bounded.recv(10) == b"1234"
    peer.sendall(b"5")
    with pytest.raises(OSError, match="larger than allowed"):
        bounded.recv(10)


def test_a_peer_that_spoke_unasked_is_noticed(pair: tuple[BoundedSocket, socket.socket, list[float]]) -> None:
    bounded, peer, _ = pair
    assert not bounded.is_stale()
    peer.sendall(b"unasked")
    assert bounded.is_stale()


def test_a_peer_that_hung_up_is_noticed(pair: tuple[BoundedSocket, socket.socket, list[float]]) -> None:
    bounded, peer, _ = pair
    peer.close()
    assert bounded.is_stale()
