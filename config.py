"""The environment, read, checked and typed once."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parent
# The name of a model that runs in torch, behind that of its folder.
ORIGINAL = "-original"
KNOWN_MODELS = ("e5-small", "alephbert", "remote")
CANNOT_BE_USED = 2  # the exit status of what was started with a bad setting


class BadSetting(ValueError):
    """A setting that cannot be used; the message names it, its value and what is allowed."""


@contextmanager
def exit_on_bad_setting() -> Iterator[None]:
    """End the process with the one line that names a bad setting: a traceback would only hide it."""
    try:
        yield
    except BadSetting as bad:
        sys.stderr.write(f"{bad}\n")
        sys.exit(CANNOT_BE_USED)


@dataclass(frozen=True, slots=True)
class Settings:
    """What the operator chose; made by `read_settings`, never changed afterwards."""

    database_url: str = field(repr=False)  # it may hold a password
    secret_key: str = field(repr=False)
    admin_token: str = field(repr=False)
    instance_dir: Path
    semantic_model: str = "e5-small"
    models_dir: Path = ROOT / "models"
    semantic_runtime: str = "onnx"
    original_model: str = ""
    embeddings_url: str = ""
    embeddings_model: str = ""
    embeddings_api_key: str = field(default="", repr=False)
    embeddings_query_prefix: str = ""
    embeddings_passage_prefix: str = ""
    embeddings_batch_size: int = 32
    model_loading: str = "lazy"
    model_idle_s: int = 900
    model_retry_s: int = 60
    tag_batch_size: int = 10
    passage_batch_size: int | None = None
    vector_index: str = "auto"
    vector_index_memory_mb: int = 32
    memory_limit_mb: int | None = None
    memory_drop_caches_share: float = 0.85
    memory_give_back_share: float = 0.92
    memory_rest_s: int = 60
    query_cache_entries: int = 1_000
    query_cache_mb: int = 4
    query_cache_s: int = 604_800
    db_pool_size: int = 2
    db_max_overflow: int = 3
    db_timeout_s: float = 4.0
    rate_limit: str = "60/minute"
    redis_url: str = field(default="", repr=False)  # it may hold a password
    redis_tls_verify: bool = True
    cache_results_s: int = 3_600
    cache_skills_s: int = 86_400
    default_locale: str = "he"
    trusted_proxies: int = 0
    secure_cookies: bool = False
    check_sessions: bool = False
    log_queries: bool = False
    log_format: str = "text"
    worker_grown_share: float = 0.6
    background: str = "web"

    @property
    def model_name(self) -> str:
        """Return the name of the model that serves unless the database was switched to another."""
        in_torch = self.semantic_runtime == "sentence-transformers" and self.semantic_model not in ("none", "remote")
        return self.semantic_model + ORIGINAL if in_torch else self.semantic_model

    @property
    def is_postgresql(self) -> bool:
        return self.database_url.startswith("postgresql")


def read_settings(environ: Mapping[str, str] = os.environ, instance_dir: Path | None = None) -> Settings:
    """Return the settings in `environ`; raises BadSetting with a sentence that names the one that is off."""
    instance = instance_dir or Path(environ.get("INSTANCE_DIR", ROOT / "instance"))
    url = database_url(environ.get("DATABASE_URL", ""), instance)
    models = Path(environ.get("MODELS_DIR", ROOT / "models"))
    model = semantic_model(environ, models)
    return Settings(
        database_url=url,
        secret_key=secret(environ, "SECRET_KEY", url, instance),
        admin_token=secret(environ, "ADMIN_TOKEN", url, instance),
        instance_dir=instance,
        semantic_model=model,
        semantic_runtime=choice(environ, "SEMANTIC_RUNTIME", "onnx", ("onnx", "sentence-transformers")),
        original_model=environ.get("ORIGINAL_MODEL", "").strip(),
        embeddings_url=address(environ, "EMBEDDINGS_URL", is_needed=model == "remote"),
        embeddings_model=environ.get("EMBEDDINGS_MODEL", "").strip(),
        embeddings_api_key=api_key(environ, "EMBEDDINGS_API_KEY"),
        embeddings_query_prefix=environ.get("EMBEDDINGS_QUERY_PREFIX", ""),
        embeddings_passage_prefix=environ.get("EMBEDDINGS_PASSAGE_PREFIX", ""),
        embeddings_batch_size=whole(environ, "EMBEDDINGS_BATCH_SIZE", 32, 1, 256),
        models_dir=models,
        model_loading=choice(environ, "MODEL_LOADING", "lazy", ("lazy", "warm")),
        model_idle_s=whole(environ, "MODEL_IDLE_SECONDS", 900, 0, 86_400),
        model_retry_s=whole(environ, "MODEL_RETRY_SECONDS", 60, 1, 86_400),
        tag_batch_size=whole(environ, "TAG_BATCH_SIZE", 10, 1, 256),
        passage_batch_size=optional_whole(environ, "PASSAGE_BATCH_SIZE", 1, 256),
        vector_index=vector_index(environ, url),
        vector_index_memory_mb=whole(environ, "VECTOR_INDEX_MEMORY_MB", 32, 0, 1_048_576),
        memory_limit_mb=optional_whole(environ, "MEMORY_LIMIT_MB", 64, 1_048_576),
        memory_drop_caches_share=whole(environ, "MEMORY_DROP_CACHES_PERCENT", 85, 1, 100) / 100,
        memory_give_back_share=whole(environ, "MEMORY_GIVE_BACK_PERCENT", 92, 1, 100) / 100,
        memory_rest_s=whole(environ, "MEMORY_REST_SECONDS", 60, 1, 86_400),
        query_cache_entries=whole(environ, "QUERY_CACHE_ENTRIES", 1_000, 0, 100_000),
        query_cache_mb=whole(environ, "QUERY_CACHE_MB", 4, 0, 1_024),
        query_cache_s=whole(environ, "QUERY_CACHE_SECONDS", 604_800, 1, 31_536_000),
        db_pool_size=whole(environ, "DB_POOL_SIZE", 2, 1, 50),
        db_max_overflow=whole(environ, "DB_MAX_OVERFLOW", 3, 0, 50),
        db_timeout_s=float(whole(environ, "DB_TIMEOUT_SECONDS", 4, 1, 600)),
        rate_limit=rate(environ.get("RATE_LIMIT", "60/minute")),
        redis_url=redis_url(environ.get("REDIS_URL", "")),
        redis_tls_verify=choice(environ, "REDIS_TLS_VERIFY", "1", ("0", "1")) == "1",
        cache_results_s=whole(environ, "CACHE_RESULTS_SECONDS", 3_600, 1, 31_536_000),
        cache_skills_s=whole(environ, "CACHE_SKILLS_SECONDS", 86_400, 1, 31_536_000),
        default_locale=choice(environ, "DEFAULT_LOCALE", "he", ("he", "en")),
        trusted_proxies=whole(environ, "TRUSTED_PROXIES", 1 if "DYNO" in environ or "RENDER" in environ else 0, 0, 5),
        secure_cookies=choice(environ, "SECURE_COOKIES", "0", ("0", "1")) == "1",
        check_sessions=choice(environ, "CHECK_SESSIONS", "0", ("0", "1")) == "1",
        log_queries=choice(environ, "LOG_QUERIES", "0", ("0", "1")) == "1",
        log_format=choice(environ, "LOG_FORMAT", "text", ("text", "json")),
        background=choice(environ, "BACKGROUND", "web", ("web", "worker")),
        worker_grown_share=whole(environ, "WORKER_GROWN_PERCENT", 60, 0, 100) / 100,
    )


def database_url(given: str, instance: Path) -> str:
    """Return a SQLAlchemy address: SQLite's path absolute, `postgres://` as psycopg2 wants it."""
    url = given.strip() or "sqlite:///instance/matmon.db"
    for prefix in ("postgres://", "postgresql://"):
        if url.startswith(prefix):
            return "postgresql+psycopg2://" + url.removeprefix(prefix)
    if url.startswith("postgresql+psycopg2://"):
        return url
    if not url.startswith("sqlite:///"):
        shown = url.split(":")[0]  # never the password
        raise BadSetting(f"DATABASE_URL begins with {shown!r}: it must be sqlite:///PATH or postgresql://…")
    path = Path(url.removeprefix("sqlite:///"))
    if not given.strip():
        path = instance / "matmon.db"
    return f"sqlite:///{path if path.is_absolute() else ROOT / path}"


def semantic_model(environ: Mapping[str, str], models: Path) -> str:
    """Return the name of a model that somebody could mean; a known one may be made later."""
    name = environ.get("SEMANTIC_MODEL", "e5-small").strip() or "none"
    if name not in ("none", *KNOWN_MODELS) and not (models / name).is_dir():
        raise BadSetting(
            f"SEMANTIC_MODEL={name}: {models / name} is not there; it must be none, {', '.join(KNOWN_MODELS)},"
            f" or a folder made with: python scripts/prepare_model.py {name}"
        )
    return name


def redis_url(given: str) -> str:
    """Return the address of a Redis, or nothing; what is refused is not shown, since it may hold a password."""
    given = given.strip()
    if not given:
        return ""
    wanted = "it must be redis://HOST:PORT/NUMBER, rediss://… with TLS, or unix:///PATH"
    try:
        parts = urlsplit(given)
        is_place = bool(parts.path if parts.scheme == "unix" else parts.hostname and (parts.port is None or parts.port))
        number = "" if parts.scheme == "unix" else parts.path.strip("/")
    except ValueError:
        raise BadSetting(f"REDIS_URL cannot be read: {wanted}") from None
    if parts.scheme not in ("redis", "rediss", "unix") or not is_place:
        raise BadSetting(f"REDIS_URL begins with {parts.scheme + '://' if parts.scheme else 'no scheme'!r}: {wanted}")
    if not ((number.isascii() and number.isdigit()) or not number):
        raise BadSetting(f"REDIS_URL names the database {number[:20]!r}: it must be a number, such as /0")
    return given


def vector_index(environ: Mapping[str, str], url: str) -> str:
    """Return where the index of embeddings is wanted; pgvector is PostgreSQL's alone."""
    given = choice(environ, "VECTOR_INDEX", "auto", ("auto", "memory", "pgvector"))
    if given == "pgvector" and not url.startswith("postgresql"):
        raise BadSetting("VECTOR_INDEX='pgvector': with SQLite it must be auto or memory; pgvector needs PostgreSQL")
    return given


def address(environ: Mapping[str, str], name: str, is_needed: bool) -> str:
    """Return an address of the web, or nothing where none is needed."""
    given = environ.get(name, "").strip()
    if not given and not is_needed:
        return ""
    try:
        parts = urlsplit(given)
        good = parts.scheme in ("http", "https") and parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError:
        parts, good = None, False
    if parts is not None and "@" in parts.netloc:
        raise BadSetting(f"{name} holds a name or a password: leave it out and set EMBEDDINGS_API_KEY")
    if not good or any(letter.isspace() for letter in given):
        wanted = "it must be an address such as http://models.internal:8080 or https://…/v1"
        raise BadSetting(f"{name}={given!r}: with SEMANTIC_MODEL=remote {wanted}")
    return given


def api_key(environ: Mapping[str, str], name: str) -> str:
    """Return a key as a header can carry it."""
    given = environ.get(name, "").strip()
    if not given.isascii() or not given.isprintable() or " " in given:
        raise BadSetting(f"{name} has characters that no header can carry: give it Latin letters, digits and signs")
    return given


def secret(environ: Mapping[str, str], name: str, url: str, instance: Path) -> str:
    """Return the secret from the environment, or, for a local SQLite, one kept in the instance folder."""
    given = environ.get(name, "").strip()
    if given:
        if len(given) < 16:
            raise BadSetting(f"{name} has {len(given)} characters: give it 16 or more, chosen at random")
        return given
    if url.startswith("postgresql"):
        raise BadSetting(f"{name} is not set: with PostgreSQL it is required; make one with: openssl rand -hex 32")
    return stored_secret(instance / name.lower())


def stored_secret(path: Path) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        # Two processes may start at once: the one that makes the file first wins, the other reads it.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text().strip()
    made = secrets.token_hex(24)
    with os.fdopen(descriptor, "w") as file:
        file.write(made)
    return made


def choice(environ: Mapping[str, str], name: str, default: str, allowed: tuple[str, ...]) -> str:
    value = environ.get(name, "").strip() or default
    if value not in allowed:
        raise BadSetting(f"{name}={value!r}: it must be one of {', '.join(allowed)}")
    return value


def whole(environ: Mapping[str, str], name: str, default: int, low: int, high: int) -> int:
    value = optional_whole(environ, name, low, high)
    return default if value is None else value


def optional_whole(environ: Mapping[str, str], name: str, low: int, high: int) -> int | None:
    given = environ.get(name, "").strip()
    if not given:
        return None
    if not given.isascii() or not given.isdigit() or not low <= int(given) <= high:
        raise BadSetting(f"{name}={given!r}: it must be a whole number from {low} to {high}")
    return int(given)


def rate(given: str) -> str:
    """Return a rate such as `60/minute`, checked by shape; the limiter itself reads it."""
    count, _, unit = given.strip().partition("/")
    if not count.isdigit() or unit not in ("second", "minute", "hour", "day"):
        raise BadSetting(f"RATE_LIMIT={given!r}: it must look like 60/minute (second, minute, hour or day)")
    return given.strip()
