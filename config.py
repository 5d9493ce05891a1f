"""The settings: each declared once, read from the environment, checked and typed."""

from __future__ import annotations

import os
import re
import secrets
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import MISSING, dataclass, field, fields
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar, cast
from urllib.parse import urlsplit

T = TypeVar("T")
ROOT = Path(__file__).resolve().parent
TORCH_SUFFIX = "-original"  # ends the name of a model that runs in torch; the rest names its folder
KNOWN_MODELS = ("e5-small", "alephbert", "remote")
DAY_S, YEAR_S, MAX_MB = 86_400, 31_536_000, 1_048_576
# The old names work until the next release. Where both are set, the new one wins.
RENAMED = {
    "MEMORY_GIVE_BACK_PERCENT": "MEMORY_UNLOAD_PERCENT",
    "MEMORY_REST_SECONDS": "MEMORY_PAUSE_SECONDS",
    "WORKER_GROWN_PERCENT": "WORKER_RECYCLE_PERCENT",
    "ORIGINAL_MODEL": "TORCH_MODEL",
}


class BadSetting(ValueError):
    """A setting that cannot be used; the message names it, its value unless it is secret, and what is allowed."""


@contextmanager
def exit_on_bad_setting() -> Iterator[None]:
    """End the process with one line about a bad setting instead of a traceback."""
    try:
        yield
    except BadSetting as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(2)


@dataclass(frozen=True, slots=True)
class Parser(Generic[T]):
    """How a text becomes a value, given those read before it; a ValueError from `parse` means it is not `allowed`."""

    allowed: str
    parse: Callable[[str, Mapping[str, Any]], T]


@dataclass(frozen=True, slots=True)
class Setting:
    """The declaration of one setting. A default of None means that the parser decides what an unset one is."""

    name: str
    default: str | None
    parser: Parser[Any]
    help: str
    unset: str  # for the reference page, where the default alone does not say it
    is_secret: bool

    def read(self, name: str, text: str, values: Mapping[str, Any]) -> Any:
        """Return the value of a text that was set under `name`; raises BadSetting with a whole sentence."""
        text = text if self.parser is VERBATIM else text.strip()
        try:
            return self.parser.parse(text, values)
        except BadSetting as error:
            raise BadSetting(f"{name}{error}") from None
        except ValueError:
            shown = "" if self.is_secret else f"={text!r}"
            raise BadSetting(f"{name}{shown}: it must be {self.parser.allowed}") from None


def setting(name: str, default: str | None, parser: Parser[T], text: str, unset: str = "", secret: bool = False) -> T:
    """Declare a field of Settings: `text` is its help, `unset` what an unset one means, if not the default."""
    value: Any = MISSING if default is None else parser.parse(default, {})
    declaration = Setting(name, default, parser, text, unset, secret)
    return cast("T", field(default=value, repr=not secret, metadata={"is": declaration}))


def allow(text: str, is_allowed: object) -> str:
    if not is_allowed:
        raise ValueError(text)
    return text


def whole(low: int, high: int) -> Parser[int]:
    def parse(text: str, _: Mapping[str, Any]) -> int:
        return int(allow(text, re.fullmatch("[0-9]{1,9}", text) and low <= int(text) <= high))

    return Parser(f"a whole number from {low} to {high}", parse)


def optional(parser: Parser[T]) -> Parser[T | None]:
    return Parser(parser.allowed, lambda text, values: parser.parse(text, values) if text else None)


def percent_parser(low: int) -> Parser[float]:
    return Parser(whole(low, 100).allowed, lambda text, values: whole(low, 100).parse(text, values) / 100)


def choice(*names: str) -> Parser[str]:
    return Parser(f"one of {', '.join(names)}", lambda text, _: allow(text, text in names))


def pattern(allowed: str, expression: str) -> Parser[str]:
    return Parser(allowed, lambda text, _: allow(text, re.fullmatch(expression, text)))


def folder(default: str) -> Parser[Path]:
    return Parser("a folder", lambda text, _: Path(text) if text else ROOT / default)


def parse_database_url(text: str, values: Mapping[str, Any]) -> str:
    """Return a SQLAlchemy URL, with SQLite's path absolute; an error shows the scheme only, never a password."""
    if not text:
        return f"sqlite:///{(ROOT / values['instance_dir']) / 'matmon.db'}"
    for prefix in ("postgres://", "postgresql://", "postgresql+psycopg2://"):
        if text.startswith(prefix):
            return "postgresql+psycopg2://" + text.removeprefix(prefix)
    if not text.startswith("sqlite:///"):
        raise BadSetting(f" begins with {text.partition(':')[0]!r}: it must be {DATABASE_URL.allowed}")
    return f"sqlite:///{ROOT / text.removeprefix('sqlite:///')}"


def parse_secret(name: str, text: str, values: Mapping[str, Any]) -> str:
    """Return the secret, which with SQLite may be one stored in the instance folder."""
    if text and len(text) < 16:
        raise BadSetting(f" has {len(text)} characters: give it 16 or more, chosen at random")
    if not text and values["database_url"].startswith("postgresql"):
        raise BadSetting(" is not set: with PostgreSQL it is required; make one with: openssl rand -hex 32")
    return text or stored_secret(values["instance_dir"] / name)


def stored_secret(path: Path) -> str:
    """Return the secret in a file, made if it is missing and readable by its owner only."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Two processes may start at once: the one that makes the file first wins.
    with suppress(FileExistsError), os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secrets.token_hex(24))
    return path.read_text().strip()


def parse_semantic_model(name: str, values: Mapping[str, Any]) -> str:
    """Return the name of a model; a known one may be prepared later, another must have its folder."""
    if name not in ("", "none", *KNOWN_MODELS) and not (values["models_dir"] / name).is_dir():
        raise BadSetting(f"={name}: {values['models_dir'] / name} is not there; it must be {MODEL.allowed}")
    return name or "none"


def parse_vector_index(text: str, values: Mapping[str, Any]) -> str:
    if text == "pgvector" and not values["database_url"].startswith("postgresql"):
        raise BadSetting(f"={text!r}: with SQLite it must be auto or memory; pgvector needs PostgreSQL")
    return allow(text, text in ("auto", "memory", "pgvector"))


def parse_web_url(text: str, values: Mapping[str, Any]) -> str:
    if not text and values.get("semantic_model") != "remote":
        return text
    parts = urlsplit(text)
    if "@" in parts.netloc:
        raise BadSetting(" holds a name or a password: leave it out and set EMBEDDINGS_API_KEY")
    is_address = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    return allow(text, is_address and not re.search(r"\s", text))


def parse_hosts(text: str, _: Mapping[str, Any]) -> tuple[str, ...]:
    names = tuple(name.strip().lower() for name in text.split(",") if name.strip())
    allow(text, all(re.fullmatch(r"[.]?[A-Za-z0-9_-]+(?:[.][A-Za-z0-9_-]+)*", name) for name in names))
    return names


def parse_redis_url(text: str, _: Mapping[str, Any]) -> str:
    parts = urlsplit(text)
    is_server = parts.scheme in ("redis", "rediss") and parts.hostname and parts.port != 0
    is_usable = is_server and re.fullmatch("/?[0-9]*/?", parts.path)
    return allow(text, not text or is_usable or (parts.scheme == "unix" and parts.path))


TEXT = Parser("any text", lambda text, _: text)
VERBATIM = Parser("any text, with the spaces around it", lambda text, _: text)
PATH = Parser("a folder", lambda text, _: Path(text))
FLAG = Parser("one of 0, 1", lambda text, _: ("0", "1").index(text) == 1)
RATE = pattern("a rate such as 60/minute (second, minute, hour or day)", "[0-9]+/(second|minute|hour|day)")
HOSTS = Parser("host names, separated by commas; .example.org allows its subdomains too", parse_hosts)
API_KEY = pattern("Latin letters, digits and signs", "[!-~]*")  # what a header can carry
SECRET_KEY = Parser("16 characters or more", partial(parse_secret, "secret_key"))
METRICS_TOKEN = pattern("16 Latin letters, digits and signs or more", "([!-~]{16,})?")
ADMIN_TOKEN = Parser(SECRET_KEY.allowed, partial(parse_secret, "admin_token"))
DATABASE_URL = Parser("sqlite:///PATH or postgresql://…", parse_database_url)
REDIS_URL = Parser("redis://HOST:PORT/NUMBER, rediss://… with TLS, or unix:///PATH", parse_redis_url)
WEB_URL = Parser("an address such as http://models.internal:8080 or https://…/v1", parse_web_url)
VECTOR_INDEX = Parser("one of auto, memory, pgvector", parse_vector_index)
MODEL = Parser(f"none, {', '.join(KNOWN_MODELS)}, or a folder made by scripts/prepare_model.py", parse_semantic_model)
GENERATED = "generated with SQLite; required with PostgreSQL"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the operator chose for the site; `read_settings` makes it, and nothing changes it."""

    # fmt: off
    instance_dir: Path = setting("INSTANCE_DIR", None, folder("instance"), "the site's own files", "`instance`")
    database_url: str = setting("DATABASE_URL", None, DATABASE_URL,
        "the database", "`sqlite:///instance/matmon.db`, in INSTANCE_DIR", secret=True)
    secret_key: str = setting("SECRET_KEY", None, SECRET_KEY, "signs sessions", GENERATED, secret=True)
    admin_token: str = setting("ADMIN_TOKEN", None, ADMIN_TOKEN, "lets its bearer write", GENERATED, secret=True)
    access: str = setting("ACCESS", "public", choice("public", "private"),
        "`private` asks for a key on every page and route but health checks, static files, sign-in and `/privacy`")
    metrics_token: str = setting("METRICS_TOKEN", "", METRICS_TOKEN,
        "lets its bearer read all of `/metrics`, `/api/stats` and `/api/monitoring`", "only admins may", secret=True)
    umask: str = setting("UMASK", "077", choice("077", "027", "007"),
        "who else may use the site's files: nobody, the group for reading, or the group")
    models_dir: Path = setting("MODELS_DIR", "", folder("models"), "the folder of prepared models", "`models`")
    semantic_model: str = setting("SEMANTIC_MODEL", "e5-small", MODEL,
        "the embedding model; `remote` asks EMBEDDINGS_URL, `none` or a blank value turns semantic search off")
    semantic_runtime: str = setting("SEMANTIC_RUNTIME", "onnx", choice("onnx", "sentence-transformers"),
        "`sentence-transformers` runs the unquantized model in torch, on hosts of 2 GB")
    torch_model: str = setting("TORCH_MODEL", "", TEXT,
        "the folder or hub id of the weights that run in torch", "what the model folder was prepared from")
    embeddings_url: str = setting("EMBEDDINGS_URL", "", WEB_URL, "the server of a remote model; required for one")
    embeddings_model: str = setting("EMBEDDINGS_MODEL", "", TEXT, "the model's name on that server")
    embeddings_api_key: str = setting("EMBEDDINGS_API_KEY", "", API_KEY, "the key for that server", secret=True)
    embeddings_query_prefix: str = setting("EMBEDDINGS_QUERY_PREFIX", "", VERBATIM, "put before each query")
    embeddings_passage_prefix: str = setting("EMBEDDINGS_PASSAGE_PREFIX", "", VERBATIM, "put before each passage")
    embeddings_batch_size: int = setting("EMBEDDINGS_BATCH_SIZE", "32", whole(1, 256), "texts in one remote request")
    model_loading: str = setting("MODEL_LOADING", "lazy", choice("lazy", "warm"), "at first use, or after the start")
    model_idle_s: int = setting("MODEL_IDLE_SECONDS", "900", whole(0, DAY_S), "unload it after so long unused; 0 never")
    model_retry_s: int = setting("MODEL_RETRY_SECONDS", "60", whole(1, DAY_S), "retry a failed load after so long")
    tag_batch_size: int = setting("TAG_BATCH_SIZE", "10", whole(1, 256), "tags encoded at once")
    passage_batch_size: int | None = setting("PASSAGE_BATCH_SIZE", "", optional(whole(1, 256)),
        "passages encoded at once", "what the model's manifest says")
    vector_index: str = setting("VECTOR_INDEX", "auto", VECTOR_INDEX,
        "where embeddings are searched; `auto` takes pgvector once it is built and memory would hold too many")
    vector_index_memory_mb: int = setting("VECTOR_INDEX_MEMORY_MB", "32", whole(0, MAX_MB), "what `auto` keeps there")
    vector_index_dir: Path | None = setting("VECTOR_INDEX_DIR", "", optional(PATH),
        "where the index of embeddings is kept as a file; what is lost there is made anew", "`index` in INSTANCE_DIR")
    memory_limit_mb: int | None = setting("MEMORY_LIMIT_MB", "", optional(whole(64, MAX_MB)),
        "the limit that memory use is compared with", "the control group's limit, else 512")
    memory_drop_caches_share: float = setting("MEMORY_DROP_CACHES_PERCENT", "85", percent_parser(1),
        "the share of the limit from which caches are dropped")
    memory_unload_share: float = setting("MEMORY_UNLOAD_PERCENT", "92", percent_parser(1),
        "the share of the limit from which the model is unloaded, if dropping caches was not enough")
    memory_pause_s: int = setting("MEMORY_PAUSE_SECONDS", "60", whole(1, DAY_S), "how long semantic search then pauses")
    query_cache_entries: int = setting("QUERY_CACHE_ENTRIES", "1000", whole(0, 100_000), "query embeddings cached")
    query_cache_mb: int = setting("QUERY_CACHE_MB", "4", whole(0, 1_024), "memory for query embeddings")
    query_cache_s: int = setting("QUERY_CACHE_SECONDS", "604800", whole(1, YEAR_S), "lifetime of a query embedding")
    db_pool_size: int = setting("DB_POOL_SIZE", "2", whole(1, 50), "database connections kept open")
    db_max_overflow: int = setting("DB_MAX_OVERFLOW", "3", whole(0, 50), "connections beyond them, under load")
    db_timeout_s: float = setting("DB_TIMEOUT_SECONDS", "4", whole(1, 600), "how long PostgreSQL may take before a 503")
    rate_limit: str = setting("RATE_LIMIT", "60/minute", RATE, "a client's searches")
    rate_limit_cpu_s: int = setting("RATE_LIMIT_CPU", "20", whole(0, 60),
        "a client's seconds of processor time in a minute; 0 means no limit")
    export_limit: int = setting("EXPORT_LIMIT", "10000", whole(1, 1_000_000), "documents in a download of all results")
    screening_days: int = setting("SCREENING_DAYS", "180", whole(0, 3_650),
        "days after which a screening that nobody opened is deleted, with all decisions; 0 keeps it")
    saved_search_days: int = setting("SAVED_SEARCH_DAYS", "365", whole(0, 3_650),
        "days after which a saved search that nobody used is deleted; 0 keeps it")
    upload_days: int = setting("UPLOAD_DAYS", "30", whole(0, 3_650),
        "days after which an uploaded file, and what was refused of it, is deleted; 0 keeps it")
    audit_days: int = setting("AUDIT_DAYS", "365", whole(0, 3_650),
        "days after which entries of the audit log are deleted; 0 keeps them")
    privacy_contact: str = setting("PRIVACY_CONTACT", "", TEXT,
        "whom visitors may write to about their data, as shown on `/privacy`: a name, an address or a phone number")
    redis_url: str = setting("REDIS_URL", "", REDIS_URL, "shares caches and limits among processes", secret=True)
    redis_tls_verify: bool = setting("REDIS_TLS_VERIFY", "1", FLAG, "`0` accepts a certificate that nobody signed")
    cache_results_s: int = setting("CACHE_RESULTS_SECONDS", "3600", whole(1, YEAR_S), "lifetime of results in Redis")
    cache_skills_s: int = setting("CACHE_SKILLS_SECONDS", "86400", whole(1, YEAR_S), "lifetime of skills in Redis")
    default_locale: str = setting("DEFAULT_LOCALE", "he", choice("he", "en"), "the interface's language")
    trusted_proxies: int = setting("TRUSTED_PROXIES", "0", whole(0, 5),
        "reverse proxies in front whose X-Forwarded headers are believed", "`0`, and `1` on Heroku and Render")
    trusted_hosts: tuple[str, ...] = setting("TRUSTED_HOSTS", "", HOSTS,
        "the names the site is asked by; requests for any other are refused", "any name")
    secure_cookies: bool = setting("SECURE_COOKIES", "0", FLAG, "`1` sends cookies over https only")
    check_sessions: bool = setting("CHECK_SESSIONS", "0", FLAG, "`1` fails on a session that holds too much")
    log_queries: bool = setting("LOG_QUERIES", "0", FLAG, "`1` shows the queries of the slowest searches on `/status`")
    log_format: str = setting("LOG_FORMAT", "text", choice("text", "json"), "how log lines are written")
    background: str = setting("BACKGROUND", "web", choice("web", "worker"), "`worker` leaves jobs to `flask worker`")
    worker_recycle_share: float = setting("WORKER_RECYCLE_PERCENT", "60", percent_parser(0),
        "the share of the limit above which a worker without a model is replaced after a minute; 0 never")
    host: str = setting("HOST", "127.0.0.1", TEXT,
        "the address to listen on", "`127.0.0.1`, and `0.0.0.0` on Heroku, Render and Railway")
    port: int = setting("PORT", "5000", whole(0, 65_535), "the port to listen on")
    gunicorn_workers: int = setting("GUNICORN_WORKERS", "1", whole(1, 64),
        "worker processes, each with its own model", "`WEB_CONCURRENCY` except on Heroku, else `1`")
    gunicorn_threads: int = setting("GUNICORN_THREADS", "4", whole(1, 256), "threads in each worker")
    # fmt: on

    @property
    def model_name(self) -> str:
        """The name of the model that serves unless the database was switched to another."""
        in_torch = self.semantic_runtime == "sentence-transformers" and self.semantic_model not in ("none", "remote")
        return self.semantic_model + TORCH_SUFFIX if in_torch else self.semantic_model

    @property
    def is_postgresql(self) -> bool:
        return self.database_url.startswith("postgresql")


def declared() -> dict[str, Setting]:
    """Return the settings by attribute, in the order in which they are read."""
    return {each.name: each.metadata["is"] for each in fields(Settings)}


def renamed_in_use(environ: Mapping[str, str]) -> list[str]:
    """Return a sentence for each old name that is set."""
    old_names = [old for old in RENAMED if old in environ]
    return [f"{old} is now called {RENAMED[old]}: the old name goes with the next release" for old in old_names]


def read_settings(environ: Mapping[str, str] = os.environ, instance_dir: Path | None = None) -> Settings:
    """Return the settings in `environ`; raises BadSetting for the first one that cannot be used."""
    texts = environment_texts(environ) | ({"INSTANCE_DIR": str(instance_dir)} if instance_dir else {})
    # Heroku sets WEB_CONCURRENCY by itself, to 2 on 512 MB: that would be two models in memory.
    names = RENAMED if "DYNO" in environ else RENAMED | {"WEB_CONCURRENCY": "GUNICORN_WORKERS"}
    names_used = {new: old for old, new in names.items() if old in texts and new not in texts}
    values: dict[str, Any] = {}
    for attribute, declaration in declared().items():
        name = names_used.get(declaration.name, declaration.name)
        values[attribute] = declaration.read(name, texts.get(name, declaration.default or ""), values)
    return Settings(**values)


def environment_texts(environ: Mapping[str, str]) -> dict[str, str]:
    """Return what is set, and what a host implies: its router is a proxy, and it connects from another machine."""
    hosts = environ.keys() & {"DYNO", "RENDER", "RAILWAY_ENVIRONMENT"}
    implied = {"HOST": "0.0.0.0"} if hosts else {}  # noqa: S104
    implied |= {"TRUSTED_PROXIES": "1"} if hosts & {"DYNO", "RENDER"} else {}
    return implied | {name: text for name, text in environ.items() if text.strip() or name == "SEMANTIC_MODEL"}
