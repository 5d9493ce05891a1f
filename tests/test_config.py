"""The settings: each one's default, what it takes, and what a message says of a bad one."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from config import RENAMED, ROOT, BadSetting, Settings, declared, read_settings, renamed_in_use

LONG = "0123456789abcdef"
POSTGRESQL = {"DATABASE_URL": "postgresql://u:p@host/db", "SECRET_KEY": LONG, "ADMIN_TOKEN": LONG}


def read(folder: Path, **environ: str) -> Settings:
    return read_settings(environ, folder)


def test_nothing_set_is_a_local_run_on_sqlite(tmp_path: Path) -> None:
    found = read(tmp_path)
    assert found == Settings(
        database_url=f"sqlite:///{tmp_path}/matmon.db",
        secret_key=found.secret_key,
        admin_token=found.admin_token,
        instance_dir=tmp_path,
    )
    assert not found.is_postgresql


@pytest.mark.parametrize(
    ("name", "given", "field", "value"),
    [
        ("SEMANTIC_MODEL", "alephbert", "semantic_model", "alephbert"),
        ("SEMANTIC_MODEL", " none ", "semantic_model", "none"),
        ("SEMANTIC_MODEL", "", "semantic_model", "none"),
        ("MODELS_DIR", "/somewhere/models", "models_dir", Path("/somewhere/models")),
        ("MODEL_LOADING", "warm", "model_loading", "warm"),
        ("MODEL_IDLE_SECONDS", "0", "model_idle_s", 0),
        ("MODEL_RETRY_SECONDS", "5", "model_retry_s", 5),
        ("TAG_BATCH_SIZE", "256", "tag_batch_size", 256),
        ("PASSAGE_BATCH_SIZE", "4", "passage_batch_size", 4),
        ("MEMORY_LIMIT_MB", "256", "memory_limit_mb", 256),
        ("MEMORY_UNLOAD_PERCENT", "90", "memory_unload_share", 0.9),
        ("MEMORY_PAUSE_SECONDS", "5", "memory_pause_s", 5),
        ("WORKER_RECYCLE_PERCENT", "0", "worker_recycle_share", 0.0),
        ("TORCH_MODEL", " owner/model ", "torch_model", "owner/model"),
        ("EMBEDDINGS_QUERY_PREFIX", "query: ", "embeddings_query_prefix", "query: "),
        ("RATE_LIMIT", " ", "rate_limit", "60/minute"),
        ("PORT", "0", "port", 0),
        ("HOST", "192.0.2.7", "host", "192.0.2.7"),
        ("RAILWAY_ENVIRONMENT", "production", "host", "0.0.0.0"),  # noqa: S104
        ("GUNICORN_WORKERS", "3", "gunicorn_workers", 3),
        ("WEB_CONCURRENCY", "2", "gunicorn_workers", 2),
        ("GUNICORN_THREADS", "7", "gunicorn_threads", 7),
        ("MEMORY_REST_SECONDS", "5", "memory_pause_s", 5),
        ("MEMORY_GIVE_BACK_PERCENT", "90", "memory_unload_share", 0.9),
        ("WORKER_GROWN_PERCENT", "0", "worker_recycle_share", 0.0),
        ("ORIGINAL_MODEL", "owner/model", "torch_model", "owner/model"),
        ("DB_POOL_SIZE", "5", "db_pool_size", 5),
        ("DB_MAX_OVERFLOW", "0", "db_max_overflow", 0),
        ("RATE_LIMIT", " 5/second ", "rate_limit", "5/second"),
        ("DEFAULT_LOCALE", "en", "default_locale", "en"),
        ("REDIS_URL", " rediss://:p@host:6380 ", "redis_url", "rediss://:p@host:6380"),
        ("REDIS_URL", "unix:///run/redis.sock", "redis_url", "unix:///run/redis.sock"),
        ("REDIS_TLS_VERIFY", "0", "redis_tls_verify", False),
        ("CACHE_RESULTS_SECONDS", "60", "cache_results_s", 60),
        ("CACHE_SKILLS_SECONDS", "60", "cache_skills_s", 60),
        ("TRUSTED_PROXIES", "2", "trusted_proxies", 2),
        ("DYNO", "web.1", "trusted_proxies", 1),
        ("RENDER", "true", "trusted_proxies", 1),
        ("SECURE_COOKIES", "1", "secure_cookies", True),
        ("SECRET_KEY", LONG, "secret_key", LONG),
        ("ADMIN_TOKEN", f" {LONG} ", "admin_token", LONG),
    ],
)
def test_a_setting_is_read(tmp_path: Path, name: str, given: str, field: str, value: object) -> None:
    assert getattr(read_settings({name: given}, tmp_path), field) == value


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("MODEL_LOADING", "eager"),
        ("MODEL_IDLE_SECONDS", "-1"),
        ("MODEL_RETRY_SECONDS", "0"),
        ("MODEL_IDLE_SECONDS", "86401"),
        ("MODEL_IDLE_SECONDS", "15m"),
        ("TAG_BATCH_SIZE", "0"),
        ("TAG_BATCH_SIZE", "٣"),
        ("PASSAGE_BATCH_SIZE", "257"),
        ("MEMORY_LIMIT_MB", "63"),
        ("MEMORY_UNLOAD_PERCENT", "101"),
        ("MEMORY_GIVE_BACK_PERCENT", "101"),
        ("TAG_BATCH_SIZE", "9" * 5_000),
        ("WEB_CONCURRENCY", "65"),
        ("PORT", "65536"),
        ("DB_POOL_SIZE", "0"),
        ("DB_POOL_SIZE", "2.5"),
        ("DB_MAX_OVERFLOW", "51"),
        ("RATE_LIMIT", "60"),
        ("RATE_LIMIT", "60/fortnight"),
        ("RATE_LIMIT", "-1/minute"),
        ("DEFAULT_LOCALE", "fr"),
        ("TRUSTED_PROXIES", "6"),
        ("SECURE_COOKIES", "yes"),
        ("SEMANTIC_RUNTIME", "torch"),
        ("EMBEDDINGS_BATCH_SIZE", "257"),
        ("REDIS_TLS_VERIFY", "no"),
        ("CACHE_RESULTS_SECONDS", "0"),
        ("CACHE_SKILLS_SECONDS", "1h"),
    ],
)
def test_a_bad_value_is_named_with_its_setting(tmp_path: Path, name: str, given: str) -> None:
    with pytest.raises(BadSetting) as caught:
        read_settings({name: given}, tmp_path)
    assert name in str(caught.value)
    assert repr(given) in str(caught.value)


@pytest.mark.parametrize(("old", "new"), RENAMED.items())
def test_a_new_name_wins_over_the_old_one(tmp_path: Path, old: str, new: str) -> None:
    (attribute,) = (attribute for attribute, each in declared().items() if each.name == new)
    given = {old: "1", new: "2"}
    assert getattr(read_settings(given, tmp_path), attribute) == getattr(read_settings({new: "2"}, tmp_path), attribute)
    (sentence,) = renamed_in_use(given)
    assert sentence.startswith(f"{old} is now called {new}:")
    assert renamed_in_use({new: "2"}) == []


def test_a_renamed_setting_still_exists_under_its_new_name_only() -> None:
    names = {each.name for each in declared().values()}
    assert set(RENAMED.values()) <= names
    assert not RENAMED.keys() & names


def test_each_setting_is_declared_once_with_a_default_that_can_be_used_and_a_help_text() -> None:
    settings = list(declared().values())
    assert len({each.name for each in settings}) == len(settings) > 40
    assert all(each.help and each.parser.allowed for each in settings)
    for each in settings:
        if each.default is not None:
            each.read(each.name, each.default, {})  # raises BadSetting for a default that is not allowed


def test_heroku_does_not_choose_the_number_of_workers(tmp_path: Path) -> None:
    assert read(tmp_path, DYNO="web.1", WEB_CONCURRENCY="2").gunicorn_workers == 1
    assert read(tmp_path, WEB_CONCURRENCY="2", GUNICORN_WORKERS="3").gunicorn_workers == 3


@pytest.mark.parametrize(
    "given",
    ["", "host:8080", "ftp://host", "http://", "https:///v1", "http://host:port", "http://host:99999", "http://a b"],
)
def test_a_remote_model_without_an_address_stops_the_start(tmp_path: Path, given: str) -> None:
    with pytest.raises(BadSetting) as caught:
        read(tmp_path, SEMANTIC_MODEL="remote", EMBEDDINGS_URL=given)
    assert f"EMBEDDINGS_URL={given!r}" in str(caught.value)
    assert "it must be an address such as http://" in str(caught.value)


def test_an_address_of_a_model_with_a_password_is_refused_and_not_shown(tmp_path: Path) -> None:
    with pytest.raises(BadSetting, match="set EMBEDDINGS_API_KEY") as caught:
        read(tmp_path, SEMANTIC_MODEL="remote", EMBEDDINGS_URL="https://user:hunter2@host/v1")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("given", ["מפתח", "two words", "a\nb"])
def test_a_key_that_no_header_carries_is_refused(tmp_path: Path, given: str) -> None:
    with pytest.raises(BadSetting, match="EMBEDDINGS_API_KEY") as caught:
        read(tmp_path, EMBEDDINGS_API_KEY=given)
    assert given not in str(caught.value)


@pytest.mark.parametrize(
    "given",
    [
        "host:6379",
        "http://u:hunter2@host",
        "redis://",
        "redis://:hunter2@host:port",
        "redis://:hunter2@host/one",
        "unix://",
    ],
)
def test_a_redis_without_an_address_is_refused_and_its_password_not_shown(tmp_path: Path, given: str) -> None:
    with pytest.raises(BadSetting, match="REDIS_URL") as caught:
        read(tmp_path, REDIS_URL=given)
    assert "hunter2" not in str(caught.value)
    assert "it must be" in str(caught.value)


def test_the_settings_of_a_remote_model_are_read(tmp_path: Path) -> None:
    found = read(
        tmp_path, SEMANTIC_MODEL="remote", EMBEDDINGS_URL="http://host:8080/v1", EMBEDDINGS_API_KEY="key",
        EMBEDDINGS_QUERY_PREFIX="query: ", EMBEDDINGS_BATCH_SIZE="64",
    )  # fmt: skip
    assert (found.embeddings_url, found.embeddings_api_key) == ("http://host:8080/v1", "key")
    assert (found.embeddings_query_prefix, found.embeddings_batch_size) == ("query: ", 64)
    assert "'key'" not in repr(found)


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("postgres://u:p@host/db", "postgresql+psycopg2://u:p@host/db"),
        ("postgresql://host/db", "postgresql+psycopg2://host/db"),
        ("postgresql+psycopg2://host/db", "postgresql+psycopg2://host/db"),
        ("sqlite:////data/x.db", "sqlite:////data/x.db"),
        ("sqlite:///x.db", f"sqlite:///{ROOT}/x.db"),
        (" ", None),
    ],
)
def test_an_address_of_a_database_is_understood(tmp_path: Path, given: str, url: str | None) -> None:
    found = read_settings(POSTGRESQL | {"DATABASE_URL": given}, tmp_path)
    assert found.database_url == (url or f"sqlite:///{tmp_path}/matmon.db")


@pytest.mark.parametrize("given", ["mysql://host/db", "host/db", "sqlite://relative"])
def test_another_database_is_refused(tmp_path: Path, given: str) -> None:
    with pytest.raises(BadSetting, match="DATABASE_URL begins with"):
        read(tmp_path, DATABASE_URL=given)


@pytest.mark.parametrize("given", ["mysql://user:hunter2@host/db", "user:hunter2@host/db"])
def test_a_refused_address_does_not_show_its_password(tmp_path: Path, given: str) -> None:
    with pytest.raises(BadSetting) as caught:
        read(tmp_path, DATABASE_URL=given)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("name", ["SECRET_KEY", "ADMIN_TOKEN"])
def test_secrets_are_required_with_postgresql(tmp_path: Path, name: str) -> None:
    environ = {key: value for key, value in POSTGRESQL.items() if key != name}
    with pytest.raises(BadSetting, match=f"{name} is not set"):
        read_settings(environ, tmp_path)


@pytest.mark.parametrize("name", ["SECRET_KEY", "ADMIN_TOKEN"])
def test_a_short_secret_is_refused_and_not_shown(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadSetting, match=f"{name} has 5 characters") as caught:
        read_settings({name: "short"}, tmp_path)
    assert "'short'" not in str(caught.value)


def test_a_local_run_keeps_secrets_that_only_its_owner_can_read(tmp_path: Path) -> None:
    first = read(tmp_path / "instance")
    again = read(tmp_path / "instance")
    assert (first.secret_key, first.admin_token) == (again.secret_key, again.admin_token)
    assert first.secret_key != first.admin_token
    assert len(first.secret_key) >= 32
    for name in ("secret_key", "admin_token"):
        assert stat.S_IMODE((tmp_path / "instance" / name).stat().st_mode) == 0o600


def test_settings_do_not_print_their_secrets(tmp_path: Path) -> None:
    found = read(tmp_path)
    assert found.secret_key not in repr(found)
    assert found.admin_token not in repr(found)
    assert "hunter2" not in repr(read(tmp_path, REDIS_URL="redis://:hunter2@host"))


def test_the_instance_folder_can_be_moved(tmp_path: Path) -> None:
    found = read_settings({"INSTANCE_DIR": str(tmp_path / "elsewhere")})
    assert found.instance_dir == tmp_path / "elsewhere"
    assert found.database_url == f"sqlite:///{tmp_path}/elsewhere/matmon.db"


def test_the_index_of_embeddings_is_where_it_can_be(tmp_path: Path) -> None:
    assert read_settings({}, tmp_path).vector_index == "auto"
    with pytest.raises(BadSetting, match="with SQLite it must be auto or memory"):
        read_settings({"VECTOR_INDEX": "pgvector"}, tmp_path)
    with pytest.raises(BadSetting, match="VECTOR_INDEX='disk': it must be one of auto, memory, pgvector"):
        read_settings({"VECTOR_INDEX": "disk"}, tmp_path)
