"""flask check settings | database | redis | model: what a set-up has, what is wrong with it, and what to do."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import click
import numpy as np
from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import DBAPIError

from commands.console import semantic_side
from commands.findings import Finding, ok, remark, settings_findings, show, wrong
from commands.vectors import WHY, serving_now, tables_told
from config import ROOT, Settings
from encoders.footprint import loading_mb, rss_bytes
from encoders.manifest import ModelUnusable, read_manifest
from encoders.queue import EncoderUnavailable
from indexes.choice import Serving
from models import Base, db
from operations.guard import MemoryShort
from operations.memory import memory
from search.semantic import Semantic
from utils.memory import MB

if TYPE_CHECKING:
    from redis import Redis

NEARLY_FULL = 0.95
PROBE_KEY = "matmon:check"
TRY_S = 2.0  # an operator waits longer than a reader
FAULTS = {
    "unreachable": "check the host and the port in REDIS_URL, and that this machine may reach them",
    "slow": "it takes connections and does not answer: is it overloaded, or is another kind of server at that port?",
    "closed": "it hangs up at once: does it want TLS (rediss://), or has it no connections left?",
    "password": "check the name and the password in REDIS_URL",
    "tls": "where the host signs its own certificate, as Heroku does, set REDIS_TLS_VERIFY=0; else look at it",
    "garbage": "what answers there is no Redis: check the port in REDIS_URL",
    "refused": "check the number of the database in REDIS_URL",
    "full": "give it more memory, or set its maxmemory-policy to allkeys-lru",
    "read_only": "it is a copy that takes no writes: REDIS_URL must name the primary",
    "forbidden": "its user needs GETRANGE, SET, INCRBY, PTTL, EXPIRE and DEL on keys that begin with matmon:",
}


@click.group("check", invoke_without_command=True)
@click.pass_context
def check_command(context: click.Context) -> None:
    """Check the settings, the database, the Redis and the model; exit with 1 if something is wrong."""
    if context.invoked_subcommand is None:
        show(PARTS.items())


@check_command.command("settings")
def settings_command() -> None:
    """List the settings that are set, and the old names among them."""
    show((("settings", settings_findings),))


@check_command.command("database")
def database_command() -> None:
    """Whether the database answers, has the tables of this version, and can be written to."""
    show((("database", database_findings),))


@check_command.command("redis")
def redis_command() -> None:
    """Whether the Redis is reached, answers in time, takes what it is given, and has room."""
    show((("redis", redis_findings),))


@check_command.command("model")
def model_command() -> None:
    """Whether the model is whole, fits into the memory, and says something."""
    show((("model", model_findings),))


def database_findings(settings: Settings) -> Iterator[Finding]:
    try:
        with db.engine.connect() as connection:
            yield from (postgresql if settings.is_postgresql else sqlite)(connection)
            found = list(tables(connection))
        yield from found
        if all(one.state == "ok" for one in found):
            yield from index_findings()
    except DBAPIError as error:
        message = " ".join(str(error.orig).split())
        yield wrong(f"it does not answer ({message})", "check DATABASE_URL, and that the server lets this machine in")


def postgresql(connection: Connection) -> Iterator[Finding]:
    began = time.monotonic()
    version = connection.execute(text("SHOW server_version")).scalar_one()
    yield ok(f"PostgreSQL {version} answers, in {(time.monotonic() - began) * 1000:.1f} ms")
    if connection.execute(text("SHOW transaction_read_only")).scalar_one() == "on":
        yield wrong("it is read-only", "DATABASE_URL must name the primary, and its user must be allowed to write")
    vector = text("SELECT installed_version FROM pg_available_extensions WHERE name = 'vector'")
    found = connection.execute(vector).scalar()
    said = f"pgvector {found} is installed" if found else "pgvector is not installed"
    yield remark(f"{said}; search needs none")


def sqlite(connection: Connection) -> Iterator[Finding]:
    version = connection.execute(text("SELECT sqlite_version()")).scalar_one()
    yield ok(f"SQLite {version} opens {db.engine.url.database}")
    try:
        connection.execute(text("BEGIN IMMEDIATE"))
        connection.execute(text("CREATE TABLE check_of_writing (number INTEGER)"))
        yield ok("it can be written to")
    except DBAPIError as error:
        yield wrong(f"it cannot be written to ({error.orig})", "check who owns the file and its folder, and the disk")
    finally:
        connection.rollback()


def tables(connection: Connection) -> Iterator[Finding]:
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory

    logging.getLogger("alembic").setLevel(logging.WARNING)  # it tells what it is about to do; here it does nothing
    script = ScriptDirectory(str(ROOT / "migrations"))
    heads = set(script.get_heads())
    present = set(MigrationContext.configure(connection).get_current_heads())
    upgrade = "run: flask --app app db upgrade"
    if not present:
        yield wrong("there are no tables yet", upgrade)
        return
    if unknown := present - {one.revision for one in script.walk_revisions()}:
        yield wrong(
            f"its tables are of a later version ({', '.join(unknown)})", "deploy that version, or restore a backup"
        )
        return
    if present != heads:
        yield wrong(f"its tables are of an earlier version ({', '.join(present)})", upgrade)
        return
    missing = set(Base.metadata.tables) - set(inspect(connection).get_table_names())
    if missing:
        yield wrong(f"tables are missing ({', '.join(sorted(missing))})", "restore a backup into an empty database")
        return
    yield ok(f"its tables are those of this version ({', '.join(present)})")


def redis_findings(settings: Settings) -> Iterator[Finding]:
    if not settings.redis_url:
        yield remark("REDIS_URL is not set; each process caches and counts for itself, and a single one needs no Redis")
        return
    from utils.redis_cache import REDIS_ERRORS, error_text, fault_of, redis_client

    client = redis_client(settings.redis_url, settings.redis_tls_verify, TRY_S)
    try:
        yield from reached(client, settings)
        yield from room(client)
    except REDIS_ERRORS as error:
        yield wrong(f"it cannot be used ({error_text(error, client)})", FAULTS[fault_of(error)])
    finally:
        client.close()


def reached(client: Redis, settings: Settings) -> Iterator[Finding]:
    """Write, read and count as the site does."""
    from utils.redis_cache import OPERATION_S

    client.ping()
    if not settings.redis_url.startswith("rediss:"):
        yield ok("it is reached, without TLS")
    elif settings.redis_tls_verify:
        yield ok("it is reached with TLS, and its certificate is trusted")
    else:
        yield remark("it is reached with TLS, and its certificate is not verified (REDIS_TLS_VERIFY=0)")
    began, value = time.monotonic(), b"x" * 1_000
    pipeline: Any = client.pipeline(transaction=False)
    pipeline.set(PROBE_KEY, value, ex=60).getrange(PROBE_KEY, 0, 2_000).delete(PROBE_KEY)
    pipeline.incrby(PROBE_KEY, 1).expire(PROBE_KEY, 60).pttl(PROBE_KEY).delete(PROBE_KEY)
    answers = pipeline.execute()
    took_s = time.monotonic() - began
    if answers[1] != value:
        yield wrong("it did not return what was written", "a cluster that spreads keys over servers cannot be used")
    elif took_s > OPERATION_S:
        slow = f"it answers in {took_s * 1000:.0f} ms, and requests wait {OPERATION_S * 1000:.0f}"
        yield wrong(slow, "run it in the same region as the site")
    else:
        yield ok(f"it is written, read and counted with, in {took_s * 1000:.1f} ms")


def room(client: Redis) -> Iterator[Finding]:
    """Look at its version, and what it does when it is full; some hosts do not allow INFO."""
    from redis.exceptions import ResponseError

    try:
        info: dict[str, Any] = client.info("server") | client.info("memory")
    except ResponseError as error:
        yield remark(f"it does not report its memory ({error})")
        return
    used, most = int(info.get("used_memory", 0)), int(info.get("maxmemory", 0))
    policy = info.get("maxmemory_policy", "noeviction")
    yield ok(f"version {info.get('redis_version', 'unknown')}, {used / MB:.1f} MB used")
    if not most:
        yield remark("its memory has no bound; set its maxmemory, and maxmemory-policy allkeys-lru")
    elif policy != "noeviction":
        yield ok(f"at {most / MB:.0f} MB it lets go of what it can ({policy})")
    elif used >= NEARLY_FULL * most:
        yield wrong(f"it is full ({most / MB:.0f} MB), and keeps what it has", FAULTS["full"])
    else:
        yield remark(f"at {most / MB:.0f} MB it takes nothing new; better set its maxmemory-policy to allkeys-lru")


def model_findings(settings: Settings) -> Iterator[Finding]:
    side = semantic_side()
    if side.is_off:
        yield remark("SEMANTIC_MODEL=none; only words and tags are searched")
        return
    try:
        side.model.follow(db.session())
    except DBAPIError:
        yield remark("the database does not answer, so that nobody knows whether it names another model")
    if side.lazy.state == "unavailable":
        yield wrong(str(side.lazy.error), "")
        return
    folder = settings.models_dir / side.lazy.model
    if folder.is_dir():
        try:
            known = read_manifest(folder, checksums=True)
        except ModelUnusable as error:
            yield wrong(str(error), "")
            return
        yield ok(f"{folder} is whole: {len(known.files)} files, each with its checksum")
        limit_mb = memory(settings.memory_limit_mb).limit_mb
        needed_mb = loading_mb(known) + rss_bytes() / MB
        told = f"with the model a process takes about {needed_mb:.0f} MB, of {limit_mb:.0f}"
        if needed_mb > limit_mb * settings.memory_unload_share:
            yield wrong(told, "choose a smaller model, a larger host, or SEMANTIC_MODEL=remote")
            return
        yield ok(told)
    yield said_by(side, settings)


def said_by(side: Semantic, settings: Settings) -> Finding:
    """Return what comes of encoding a text, as for a search."""
    where = f"the host at {settings.embeddings_url}" if side.lazy.model == "remote" else f"the model {side.lazy.model}"
    try:
        find = side.model.find
        assert find is not None  # noqa: S101 - semantics.semantic_side gives one to every model
        encoder = find(side.lazy.model).load()
        began = time.monotonic()
        vector = encoder.encode_queries(["שלום"])[0]
        took_ms = (time.monotonic() - began) * 1000
        encoder.close("it was only tried")
    except (ModelUnusable, EncoderUnavailable, MemoryShort, ImportError) as error:
        return wrong(f"{where} cannot be used ({error})", "")
    if not np.isfinite(vector).all():
        return wrong(f"{where} gives embeddings that are no numbers", "prepare the model anew")
    return ok(f"{where} gives embeddings, {len(vector)} wide, the first in {took_ms:.0f} ms")


PARTS: dict[str, Callable[[Settings], Iterator[Finding]]] = {
    "settings": settings_findings,
    "database": database_findings,
    "redis": redis_findings,
    "model": model_findings,
}

# Where `auto` would have pgvector and cannot: searches go on in memory, which the collection has outgrown.
HINDERED = frozenset({"no_extension", "old_extension", "not_built", "incomplete"})


def index_findings() -> Iterator[Finding]:
    if semantic_side().is_off:
        return
    serving = serving_now()
    if serving.serves is None:
        yield remark("no model is there, so that no index of embeddings serves")
        return
    yield found(serving)
    for line in tables_told(db.session()):
        unfinished = not line.endswith(", indexed")
        yield (remark if unfinished else ok)(f"embeddings for pgvector: {line.strip()}")


def found(serving: Serving) -> Finding:
    """Return which index serves; wrong where another was demanded."""
    where = "in memory" if serving.serves == "memory" else "by pgvector"
    rows = "" if serving.rows is None else f" ({serving.rows:,} rows)"
    size = "" if serving.nbytes is None else f", {serving.nbytes / MB:.0f} MB in the database"
    said = f"embeddings are searched {where}{rows}{size}, since {WHY[serving.why]} (VECTOR_INDEX={serving.wanted})"
    if serving.is_refused:
        return wrong(said, "searches are served from memory until that is mended, or set VECTOR_INDEX=auto")
    return remark(said) if serving.why in HINDERED else ok(said)
