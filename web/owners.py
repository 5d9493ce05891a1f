"""Whose screenings and saved searches are whose: a signed-in key's, or a browser's own."""

from __future__ import annotations

from hashlib import blake2b

from web.access import caller
from web.clients import client
from web.current import settings
from web.sessions import browser, browser_or_new

CLIENT_BITS = 53


def owners() -> tuple[int, ...]:
    """Return the numbers under which the caller's things are stored: of its browser, and of its key, below zero."""
    return tuple(number for number in (-caller().key, browser()) if number)


def owner_or_new() -> int:
    """Return the number under which something new is stored; a browser that has none is given one."""
    return -caller().key or browser_or_new()


def client_number() -> int:
    """Return a keyed hash of the client's address, which does not tell it; 0 for a key, which has places of its own."""
    if caller().key:
        return 0
    digest = blake2b(client().encode(), key=settings().secret_key.encode()[:64], digest_size=8).digest()
    return int.from_bytes(digest, "big") >> (64 - CLIENT_BITS)
