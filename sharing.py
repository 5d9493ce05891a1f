"""What the site's processes share where REDIS_URL is set: results, embeddings of queries, and rates."""

from __future__ import annotations

import socket
from hashlib import blake2b

from flask import Flask
from sqlalchemy.engine import make_url

from config import Settings
from search.remembered import SharedResults, SharedVectors
from search.semantic import Semantic
from utils.shared import Shared


def connect_redis(app: Flask, settings: Settings) -> None:
    """Share through a Redis; without one each process keeps and counts for itself, and the client is not imported."""
    shared = app.extensions["matmon.shared"] = shared_cache(settings)
    if shared is None:
        return
    app.config["RATELIMIT_STORAGE_OPTIONS"] = {"shared": shared}
    app.before_request(shared.begin)
    side: Semantic = app.extensions["matmon.semantic"]
    side.shared = SharedVectors(shared, settings.query_cache_s, settings.cache_skills_s)
    app.extensions["matmon.results"] = SharedResults(shared, settings.cache_results_s)


def shared_cache(settings: Settings) -> Shared | None:
    """Return what reaches the Redis, unconnected; None where none is set."""
    if not settings.redis_url:
        return None
    from utils.redis_link import Link

    return Shared(lambda: Link(settings.redis_url, settings.redis_tls_verify), f"matmon:{site(settings)}")


def site(settings: Settings) -> str:
    """Return what tells this site's keys from another's in the same Redis: its database, and a file's machine too."""
    where = make_url(settings.database_url).render_as_string(hide_password=True)
    machine = "" if settings.is_postgresql else socket.gethostname()
    return blake2b(f"{where} {machine}".encode(), digest_size=6).hexdigest()
