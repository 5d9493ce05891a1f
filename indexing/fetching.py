"""Fetches from the web for an import, within limits: public addresses only, robots.txt, size, time and redirects."""

from __future__ import annotations

import socket
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import SplitResult, urljoin, urlsplit
from urllib.robotparser import RobotFileParser

import urllib3
from urllib3.exceptions import HTTPError
from urllib3.util import Timeout

from indexing.rows import FileUnusable

AGENT = "Matmon"
MOST_BYTES, MOST_ROBOTS_BYTES = 64 << 20, 512 << 10
MOST_S = 120.0  # for one file
MOST_REDIRECTS = 5
TIMEOUT = Timeout(connect=10, read=30)
PORTS = {"http": 80, "https": 443}
Address = IPv4Address | IPv6Address


def is_public(address: Address) -> bool:
    """Whether an address is one of the internet, and not of this host, a private network or a special purpose."""
    mapped = getattr(address, "ipv4_mapped", None)
    return is_public(mapped) if mapped else address.is_global and not address.is_multicast


@dataclass(frozen=True, slots=True)
class Fetched:
    """What was at an address, after redirects; `kind` is the content type, without parameters."""

    url: str
    content: bytes
    kind: str


class Fetcher:
    """Fetches files. Names are resolved here, once, and the connection goes to the address that was checked."""

    def __init__(self, is_allowed: Callable[[Address], bool] = is_public) -> None:
        self._is_allowed = is_allowed
        self._robots: dict[str, RobotFileParser] = {}

    def fetch(self, url: str, most_bytes: int = MOST_BYTES) -> Fetched:
        """Return what is at an address; raises FileUnusable."""
        for _ in range(MOST_REDIRECTS + 1):
            self._check_robots(url)
            status, answer, target = self._get(url, most_bytes)
            if target is None:
                if status != 200:
                    raise FileUnusable("web.status", address=url, status=status)
                return answer
            url = target
        raise FileUnusable("web.redirects", address=url)

    def _check_robots(self, url: str) -> None:
        parts = checked_address(url)
        origin = f"{parts.scheme}://{parts.netloc}"
        if origin not in self._robots:
            self._robots[origin] = self._rules(f"{origin}/robots.txt")
        if not self._robots[origin].can_fetch(AGENT, url):
            raise FileUnusable("web.robots", address=url)

    def _rules(self, url: str) -> RobotFileParser:
        """Return a site's rules: all is allowed if it has none, and nothing if it cannot say (RFC 9309, 2.3.1)."""
        rules = RobotFileParser()
        for _ in range(MOST_REDIRECTS + 1):
            status, answer, target = self._get(url, MOST_ROBOTS_BYTES)
            if target is None:
                break
            url = target
        if status == 200:
            rules.parse(answer.content.decode("utf-8", "replace").splitlines())
        elif 300 <= status < 500:
            rules.parse([])
        else:
            rules.parse(["User-agent: *", "Disallow: /"])
        return rules

    def _get(self, url: str, most_bytes: int) -> tuple[int, Fetched, str | None]:
        """Return the status of one answer, what it holds, and where it redirects to; raises FileUnusable."""
        parts = checked_address(url)
        pool = self._connection(parts)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        headers = {"Host": parts.netloc, "User-Agent": AGENT, "Accept-Encoding": "identity"}
        try:
            answer = pool.urlopen(
                "GET", target, headers=headers, redirect=False, retries=False, preload_content=False, timeout=TIMEOUT,
                assert_same_host=False,
            )  # fmt: skip
            try:
                location = answer.headers.get("Location") if 300 <= answer.status < 400 else None
                content = b"" if location else _content(answer, url, most_bytes)
            finally:
                answer.release_conn()
        except (HTTPError, OSError, UnicodeError) as error:
            raise FileUnusable("web.unreachable", address=url, reason=str(error)[:200]) from error
        finally:
            pool.close()
        kind = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        return answer.status, Fetched(url, content, kind), urljoin(url, location) if location else None

    def _connection(self, parts: SplitResult) -> urllib3.HTTPConnectionPool:
        host, port = str(parts.hostname), parts.port or PORTS[parts.scheme]
        address = self._resolved(host, port)
        if parts.scheme == "http":
            return urllib3.HTTPConnectionPool(address, port)
        return urllib3.HTTPSConnectionPool(
            address, port, cert_reqs="CERT_REQUIRED", server_hostname=host, assert_hostname=host
        )

    def _resolved(self, host: str, port: int) -> str:
        """Return the address of a host; raises FileUnusable if any of its addresses is not allowed."""
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise FileUnusable("web.unreachable", address=host, reason=str(error)[:200]) from error
        addresses = [str(place[4][0]).partition("%")[0] for place in found]
        if not addresses or not all(self._is_allowed(ip_address(address)) for address in addresses):
            raise FileUnusable("web.private", host=host)
        return addresses[0]


def checked_address(url: str) -> SplitResult:
    """Return the parts of an address of the web; raises FileUnusable for any other."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
        host = f"[{host}]" if ":" in host else host.encode("idna").decode()
    except ValueError:
        raise FileUnusable("web.scheme", address=url) from None
    if parts.scheme not in PORTS or not host or "@" in parts.netloc or any(sign <= " " for sign in url):
        raise FileUnusable("web.scheme", address=url)
    netloc = host if port is None else f"{host}:{port}"
    return SplitResult(parts.scheme, netloc, _quoted(parts.path), _quoted(parts.query), "")


def _quoted(text: str) -> str:
    return "".join(sign if sign.isascii() else "".join(f"%{byte:02X}" for byte in sign.encode()) for sign in text)


def _content(answer: urllib3.BaseHTTPResponse, url: str, most_bytes: int) -> bytes:
    until, parts, size = time.monotonic() + MOST_S, [], 0
    for part in answer.stream(65_536, decode_content=False):
        size += len(part)
        if size > most_bytes:
            raise FileUnusable("web.size", address=url, most=most_bytes >> 20)
        if time.monotonic() > until:
            raise FileUnusable("web.time", address=url, most=int(MOST_S))
        parts.append(part)
    content = b"".join(parts)
    return _unzipped(content, url, most_bytes) if content[:2] == b"\x1f\x8b" else content


def _unzipped(content: bytes, url: str, most_bytes: int) -> bytes:
    """Return the content of a gzip file, such as a sitemap; raises FileUnusable beyond the limit."""
    unpack = zlib.decompressobj(31)
    try:
        unpacked = unpack.decompress(content, most_bytes + 1)
    except zlib.error as error:
        raise FileUnusable("damaged", reason=str(error)) from error
    if len(unpacked) > most_bytes:
        raise FileUnusable("web.size", address=url, most=most_bytes >> 20)
    return unpacked
