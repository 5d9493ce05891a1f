"""flask check settings | database | redis | model | words: what is configured, what is wrong, and how to fix it."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import click
import numpy as np
from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import DBAPIError

from commands.console import semantic_side
from commands.vectors import WHY, serving_now, table_lines
from config import ROOT, Settings, declared, renamed_in_use
from encoders.footprint import loading_mb, rss_bytes
from encoders.manifest import ModelUnusable, read_manifest
from encoders.queue import EncoderUnavailable
from models import Base, db
from operations.guard import MemoryShort
from operations.memory import memory
from search.semantic import Semantic
from utils.memory import MB
from utils.word_frequencies import HEBREW_WORDS, frequencies_or_problem
from web.current import runtime

if TYPE_CHECKING:
    from redis import Redis

Finding = tuple[str, str]  # the state and a sentence
NEARLY_FULL = 0.95
PROBE_KEY = "matmon:check"
REDIS_TIMEOUT_S = 2.0  # an operator can wait longer than a visitor
FAULTS = {
    "unreachable": "check the host and port in REDIS_URL, and that this machine may connect to them",
    "slow": "it accepts connections but does not answer: is it overloaded, or is another kind of server at that port?",
    "closed": "it closes the connection at once: does it need TLS (rediss://), or is it out of connections?",
    "password": "check the user name and password in REDIS_URL",
    "tls": "if the host signs its own certificate, as Heroku does, set REDIS_TLS_VERIFY=0; else check the certificate",
    "garbage": "the server there is not a Redis: check the port in REDIS_URL",
    "refused": "check the database number in REDIS_URL",
    "full": "give it more memory, or set its maxmemory-policy to allkeys-lru",
    "read_only": "it is a read-only replica: REDIS_URL must name the primary",
    "forbidden": "its user needs GETRANGE, SET, INCRBY, PTTL, EXPIRE and DEL on keys that begin with matmon:",
}


def ok(message: str) -> Finding:
    return "ok", message


def remark(message: str) -> Finding:
    """Return what is not wrong but could be better, or need not be there."""
    return "remark", message


def wrong(message: str, fix: str) -> Finding:
    return "WRONG", f"{message}: {fix}" if fix else message


def show(parts: Iterable[str]) -> None:
    """Print the findings of the parts as they are made; exit with 1 if something is wrong."""
    is_wrong = False
    for name in parts:
        for state, message in PARTS[name](runtime().settings):
            click.echo(f"{state:<7} {name}: {message}")
            is_wrong = is_wrong or state == "WRONG"
    sys.exit(1 if is_wrong else 0)


@click.group("check", invoke_without_command=True)
@click.pass_context
def check_command(context: click.Context) -> None:
    """Check the settings, the database, Redis, the model and the list of words; exit with 1 if something is wrong."""
    if context.invoked_subcommand is None:
        show(PARTS)


def settings_findings(_settings: Settings) -> Iterator[Finding]:
    """List the settings in the environment, without the values of secrets, and the old names among them."""
    names_set = [setting for setting in declared().values() if setting.name in os.environ]
    for setting in names_set:
        yield ok(f"{setting.name} is set" if setting.is_secret else f"{setting.name}={os.environ[setting.name]}")
    for sentence in renamed_in_use(os.environ):
        yield remark(sentence)
    if not names_set:
        yield remark("every setting has its default")


def database_findings(settings: Settings) -> Iterator[Finding]:
    """Check that the database answers, is writable and has the tables of this version."""
    try:
        with db.engine.connect() as connection:
            yield from (postgresql if settings.is_postgresql else sqlite)(connection)
            table_findings = list(tables(connection))
        yield from table_findings
        if all(state == "ok" for state, _ in table_findings):
            yield from index_findings()
    except DBAPIError as error:
        message = " ".join(str(error.orig).split())
        yield wrong(f"it does not answer ({message})", "check DATABASE_URL, and that the server accepts this machine")


def postgresql(connection: Connection) -> Iterator[Finding]:
    began = time.monotonic()
    version = connection.execute(text("SHOW server_version")).scalar_one()
    yield ok(f"PostgreSQL {version} answers in {(time.monotonic() - began) * 1000:.1f} ms")
    if connection.execute(text("SHOW transaction_read_only")).scalar_one() == "on":
        yield wrong("it is read-only", "DATABASE_URL must name the primary, and its user must be allowed to write")
    extension = text("SELECT installed_version FROM pg_available_extensions WHERE name = 'vector'")
    vector = connection.execute(extension).scalar()
    yield remark(f"pgvector {f'{vector} is' if vector else 'is not'} installed; search does not need it")


def sqlite(connection: Connection) -> Iterator[Finding]:
    version = connection.execute(text("SELECT sqlite_version()")).scalar_one()
    yield ok(f"SQLite {version} opens {db.engine.url.database}")
    try:
        connection.execute(text("BEGIN IMMEDIATE"))
        connection.execute(text("CREATE TABLE check_of_writing (number INTEGER)"))
        yield ok("it is writable")
    except DBAPIError as error:
        yield wrong(f"it is not writable ({error.orig})", "check the owner of the file and its folder, and the disk")
    finally:
        connection.rollback()


def tables(connection: Connection) -> Iterator[Finding]:
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory

    logging.getLogger("alembic").setLevel(logging.WARNING)  # it announces a migration, and none follows
    script = ScriptDirectory(str(ROOT / "migrations"))
    present = set(MigrationContext.configure(connection).get_current_heads())
    upgrade = "run: flask --app app db upgrade"
    versions = ", ".join(present)
    missing = set(Base.metadata.tables) - set(inspect(connection).get_table_names())
    if not present:
        yield wrong("there are no tables yet", upgrade)
    elif present - {revision.revision for revision in script.walk_revisions()}:
        yield wrong(f"its tables are of a later version ({versions})", "deploy that version, or restore a backup")
    elif present != set(script.get_heads()):
        yield wrong(f"its tables are of an earlier version ({versions})", upgrade)
    elif missing:
        yield wrong(f"tables are missing ({', '.join(sorted(missing))})", "restore a backup into an empty database")
    else:
        yield ok(f"its tables are those of this version ({versions})")


def index_findings() -> Iterator[Finding]:
    """Check which index of embeddings is in use; wrong if VECTOR_INDEX demands another."""
    if semantic_side().is_off:
        return
    serving = serving_now()
    if serving.serves is None:
        yield remark("there is no model, so no index of embeddings is in use")
        return
    where = "in memory" if serving.serves == "memory" else "with pgvector"
    rows = "" if serving.rows is None else f" ({serving.rows:,} rows)"
    size = "" if serving.nbytes is None else f", {serving.nbytes / MB:.0f} MB in the database"
    message = f"embeddings are searched {where}{rows}{size}, since {WHY[serving.why]} (VECTOR_INDEX={serving.wanted})"
    if serving.is_refused:
        yield wrong(message, "they are searched in memory until that is fixed, or set VECTOR_INDEX=auto")
    else:  # a remark if `auto` would use pgvector and cannot: the collection has outgrown memory
        is_hindered = serving.why in ("no_extension", "old_extension", "not_built", "incomplete")
        yield remark(message) if is_hindered else ok(message)
    for line in table_lines(db.session()):
        yield (ok if line.endswith(", indexed") else remark)(f"embeddings for pgvector: {line.strip()}")


def redis_findings(settings: Settings) -> Iterator[Finding]:
    """Check that Redis can be reached, answers in time, stores what it is given, and has room."""
    if not settings.redis_url:
        yield remark("REDIS_URL is not set: each process caches and counts for itself; a single one needs no Redis")
        return
    from utils.redis_cache import REDIS_ERRORS, error_text, fault_of, redis_client

    client = redis_client(settings.redis_url, settings.redis_tls_verify, REDIS_TIMEOUT_S)
    try:
        yield from redis_operations(client, settings)
        yield from redis_memory(client)
    except REDIS_ERRORS as error:
        yield wrong(f"it cannot be used ({error_text(error, client)})", FAULTS[fault_of(error)])
    finally:
        client.close()


def redis_operations(client: Redis, settings: Settings) -> Iterator[Finding]:
    """Write, read and count as the site does."""
    from utils.redis_cache import OPERATION_S

    client.ping()
    if not settings.redis_url.startswith("rediss:"):
        yield ok("it is connected, without TLS")
    elif settings.redis_tls_verify:
        yield ok("it is connected with TLS, and its certificate is trusted")
    else:
        yield remark("it is connected with TLS, and its certificate is not verified (REDIS_TLS_VERIFY=0)")
    began, value = time.monotonic(), b"x" * 1_000
    pipeline: Any = client.pipeline(transaction=False)
    pipeline.set(PROBE_KEY, value, ex=60).getrange(PROBE_KEY, 0, 2_000).delete(PROBE_KEY)
    pipeline.incrby(PROBE_KEY, 1).expire(PROBE_KEY, 60).pttl(PROBE_KEY).delete(PROBE_KEY)
    answers = pipeline.execute()
    took_s = time.monotonic() - began
    if answers[1] != value:
        yield wrong("it did not return what was written", "a cluster that spreads keys over servers is not supported")
    elif took_s > OPERATION_S:
        slow = f"it answers in {took_s * 1000:.0f} ms, and requests wait {OPERATION_S * 1000:.0f}"
        yield wrong(slow, "run it in the same region as the site")
    else:
        yield ok(f"writing, reading and counting take {took_s * 1000:.1f} ms")


def redis_memory(client: Redis) -> Iterator[Finding]:
    """Check the version and what happens when memory is full; some hosts do not allow INFO."""
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
        yield remark("its memory has no limit: set its maxmemory, and maxmemory-policy to allkeys-lru")
    elif policy != "noeviction":
        yield ok(f"at {most / MB:.0f} MB it evicts keys ({policy})")
    elif used >= NEARLY_FULL * most:
        yield wrong(f"it is full ({most / MB:.0f} MB) and evicts nothing", FAULTS["full"])
    else:
        yield remark(f"at {most / MB:.0f} MB it stores nothing new; better set its maxmemory-policy to allkeys-lru")


def model_findings(settings: Settings) -> Iterator[Finding]:
    """Check that the model is complete, fits into memory, and encodes a text."""
    side = semantic_side()
    if side.is_off:
        yield remark("SEMANTIC_MODEL=none: only keywords and tags are searched")
        return
    try:
        side.model.follow(db.session())
    except DBAPIError:
        yield remark("the database does not answer, and it may name another model")
    if side.lazy.state == "unavailable":
        yield wrong(str(side.lazy.error), "")
        return
    folder = settings.models_dir / side.lazy.model
    if folder.is_dir():
        try:
            manifest = read_manifest(folder, checksums=True)
        except ModelUnusable as error:
            yield wrong(str(error), "")
            return
        yield ok(f"{folder} is complete: {len(manifest.files)} files with the right checksums")
        limit_mb = memory(settings.memory_limit_mb).limit_mb
        needed_mb = loading_mb(manifest) + rss_bytes() / MB
        message = f"with the model a process takes about {needed_mb:.0f} MB of {limit_mb:.0f}"
        if needed_mb > limit_mb * settings.memory_unload_share:
            yield wrong(message, "choose a smaller model, a larger host, or SEMANTIC_MODEL=remote")
            return
        yield ok(message)
    yield encoding_finding(side, settings)


def encoding_finding(side: Semantic, settings: Settings) -> Finding:
    """Encode a text, as for a search."""
    name = side.lazy.model
    where = f"the host at {settings.embeddings_url}" if name == "remote" else f"the model {name}"
    try:
        assert side.model.find is not None  # noqa: S101 - only a site without a model has none
        encoder = side.model.find(name).load()
        began = time.monotonic()
        vector = encoder.encode_queries(["שלום"])[0]
        took_ms = (time.monotonic() - began) * 1000
        encoder.close("it was only checked")
    except (ModelUnusable, EncoderUnavailable, MemoryShort, ImportError) as error:
        return wrong(f"{where} cannot be used ({error})", "")
    if not np.isfinite(vector).all():
        return wrong(f"{where} returns embeddings that are not finite numbers", "prepare the model again")
    return ok(f"{where} returns embeddings of {len(vector)} dimensions, the first in {took_ms:.0f} ms")


def words_findings(settings: Settings) -> Iterator[Finding]:
    """Check that the list of Hebrew words is there and whole."""
    folder = settings.models_dir / HEBREW_WORDS
    frequencies, problem = frequencies_or_problem(folder)
    missing = wrong(problem, "") if folder.exists() else remark(problem)
    yield ok(f"{folder} has {frequencies.count} forms with their frequencies") if frequencies else missing


PARTS: dict[str, Callable[[Settings], Iterator[Finding]]] = {
    "settings": settings_findings,
    "database": database_findings,
    "redis": redis_findings,
    "model": model_findings,
    "words": words_findings,
}
for part, findings in PARTS.items():
    check_command.add_command(click.Command(part, callback=partial(show, (part,)), help=findings.__doc__))
