"""flask check: what a set-up has and lacks, in sentences that say what to do; 1 where something is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest
from click.testing import Result
from flask import Flask
from sqlalchemy import text

from app import create_app
from commands.check import FAULTS, check_command
from config import declared
from encoders.preparing.hebrew_words import write_frequencies
from models import db
from runtime import runtime_of
from tests.conftest import closed, settings_for, sqlite_alone
from tests.redis_server import answering, serving_redis
from tests.test_redis_cache import another_answer, http, with_tls
from utils.word_frequencies import HEBREW_WORDS, WORDS_FILE

Checked = Callable[..., Result]


sqlite = sqlite_alone


@pytest.fixture
def checked(tmp_path: Path) -> Iterator[Checked]:
    made: list[Flask] = []

    def of(part: str, url: str, **changes: object) -> Result:
        app = create_app(settings_for(url, tmp_path, **changes))
        made.append(app)
        app.cli.add_command(check_command)
        with app.app_context():
            return app.test_cli_runner().invoke(args=["check", *part.split()])

    yield of
    for app in made:
        if shared := runtime_of(app).shared_cache:
            shared.close()
        closed(app)


def lines(result: Result) -> list[str]:
    return [line.split()[0] for line in result.output.splitlines()]


def test_a_good_database_is_fine(checked: Checked, database: str) -> None:
    result = checked("database", database)
    assert result.exit_code == 0, result.output
    assert "WRONG" not in result.output
    assert "its tables are those of this version" in result.output
    assert ("pgvector" in result.output) == database.startswith("postgresql")


def test_a_database_of_another_version_is_told(checked: Checked, database: str, app: Flask) -> None:
    with app.app_context():
        for statement, said in (
            ("UPDATE alembic_version SET version_num = '0001'", "flask --app app db upgrade"),
            ("UPDATE alembic_version SET version_num = '9999'", "later version (9999): deploy that version"),
            ("DELETE FROM alembic_version", "no tables yet: run: flask --app app db upgrade"),
        ):
            db.session.execute(text(statement))
            db.session.commit()
            result = checked("database", database)
            assert result.exit_code == 1
            assert said in result.output


def test_a_database_that_does_not_answer_is_told(checked: Checked, tmp_path: Path) -> None:
    for url in (f"postgresql+psycopg2://u:hunter2@/db?host={tmp_path}", f"sqlite:///{tmp_path}"):
        result = checked("database", url)
        assert result.exit_code == 1
        assert "check DATABASE_URL" in result.output
        assert "hunter2" not in result.output


def test_a_good_redis_is_fine(checked: Checked, sqlite: str, tmp_path: Path) -> None:
    with serving_redis(tmp_path, "--maxmemory", "50mb", "--maxmemory-policy", "allkeys-lru") as server:
        result = checked("redis", sqlite, redis_url=server.url)
        assert result.exit_code == 0, result.output
        assert set(lines(result)) == {"ok"}
        assert "(allkeys-lru)" in result.output
        assert server.client.dbsize() == 0
        with with_tls(server.port, tmp_path) as url:
            assert "REDIS_TLS_VERIFY=0" in checked("redis", sqlite, redis_url=url).output
            trusting = checked("redis", sqlite, redis_url=url, redis_tls_verify=False)
            assert trusting.exit_code == 0, trusting.output


def test_none_is_no_fault(checked: Checked, sqlite: str) -> None:
    result = checked("redis", sqlite)
    assert (result.exit_code, lines(result)) == (0, ["remark"])


def test_what_is_wrong_with_a_redis_is_told_with_what_to_do(checked: Checked, sqlite: str, tmp_path: Path) -> None:
    def is_wrong(url: str, fault: str) -> None:
        result = checked("redis", sqlite, redis_url=url)
        assert result.exit_code == 1, result.output
        assert FAULTS[fault] in result.output
        assert "hunter2" not in result.output

    with serving_redis(tmp_path, "--maxmemory", "2mb") as server:
        is_wrong(server.url.replace("/0", "/99"), "refused")
        assert "set its maxmemory-policy to allkeys-lru" in checked("redis", sqlite, redis_url=server.url).output
        server.client.config_set("maxmemory", "1")
        is_wrong(server.url, "full")
        server.client.config_set("maxmemory", "0")
        server.client.acl_setuser("few", enabled=True, passwords=["+hunter2"], commands=["+ping", "+select"])
        is_wrong(server.url.replace("//", "//few:hunter2@"), "forbidden")
        with server.held_up():
            is_wrong(server.url, "slow")
        server.client.config_set("requirepass", "right")
        is_wrong(server.url.replace("//", "//:hunter2@"), "password")
    is_wrong(server.url, "unreachable")
    for answer in (http, another_answer):
        with answering(answer) as url:
            is_wrong(url, "garbage")


def test_a_replica_is_told(checked: Checked, sqlite: str, tmp_path: Path) -> None:
    folder = tmp_path / "replica"
    folder.mkdir()
    with serving_redis(tmp_path) as server, serving_redis(folder, "--replicaof", "127.0.0.1", str(server.port)) as copy:
        result = checked("redis", sqlite, redis_url=copy.url)
        assert result.exit_code == 1
        assert FAULTS["read_only"] in result.output


def test_no_model_is_no_fault(checked: Checked, sqlite: str) -> None:
    result = checked("model", sqlite)
    assert (result.exit_code, lines(result)) == (0, ["remark"])


@pytest.mark.model
def test_the_prepared_model_is_fine_where_it_fits(checked: Checked, sqlite: str, e5_folder: Path) -> None:
    models = {"semantic_model": "e5-small", "models_dir": e5_folder.parent, "memory_limit_mb": 65_536}
    result = checked("model", sqlite, **models)
    assert result.exit_code == 0, result.output
    assert lines(result) == ["ok"] * 3
    small = checked("model", sqlite, **models | {"memory_limit_mb": 64})
    assert small.exit_code == 1
    assert "a larger host" in small.output


@pytest.mark.model
def test_a_model_that_is_broken_or_missing_is_told(
    checked: Checked, sqlite: str, e5_folder: Path, tmp_path: Path
) -> None:
    result = checked("model", sqlite, semantic_model="e5-small", models_dir=tmp_path)
    assert result.exit_code == 1
    assert "e5-small" in result.output
    broken = tmp_path / "e5-small"
    broken.mkdir()
    for path in e5_folder.iterdir():
        (broken / path.name).symlink_to(path)
    weights = (broken / "weights.bin").resolve().read_bytes()
    (broken / "weights.bin").unlink()
    (broken / "weights.bin").write_bytes(bytes([weights[0] ^ 1]) + weights[1:])
    result = checked("model", sqlite, semantic_model="e5-small", models_dir=tmp_path)
    assert result.exit_code == 1
    assert "weights.bin" in result.output


def test_a_remote_model_that_does_not_answer_is_told(checked: Checked, sqlite: str) -> None:
    result = checked("model", sqlite, semantic_model="remote", embeddings_url="http://127.0.0.1:9")
    assert result.exit_code == 1
    assert "the host at http://127.0.0.1:9 cannot be used" in result.output


def test_what_is_set_is_listed_without_secrets(checked: Checked, sqlite: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for each in declared().values():
        monkeypatch.delenv(each.name, raising=False)
    assert lines(checked("settings", sqlite)) == ["remark"]
    monkeypatch.setenv("MODEL_LOADING", "warm")
    monkeypatch.setenv("REDIS_URL", "redis://:hunter2@host")
    result = checked("settings", sqlite)
    assert result.exit_code == 0
    shown = ["ok      settings: MODEL_LOADING=warm", "ok      settings: REDIS_URL is set"]
    assert result.output.splitlines() == shown


def test_an_old_name_in_use_is_a_remark(checked: Checked, sqlite: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMORY_REST_SECONDS", "5")
    result = checked("settings", sqlite)
    assert result.exit_code == 0
    assert "remark  settings: MEMORY_REST_SECONDS is now called MEMORY_PAUSE_SECONDS" in result.output


def test_everything_is_looked_at_where_no_part_is_named(checked: Checked, sqlite: str) -> None:
    result = checked("", sqlite)
    assert result.exit_code == 0, result.output
    parts = {"settings:", "database:", "redis:", "model:", "words:"}
    assert {line.split()[1] for line in result.output.splitlines()} == parts


def test_a_missing_list_of_words_is_a_remark_and_a_damaged_one_is_wrong(
    checked: Checked, sqlite: str, tmp_path: Path
) -> None:
    models = tmp_path / "models"
    missing = checked("words", sqlite, models_dir=models)
    assert (missing.exit_code, lines(missing)) == (0, ["remark"])
    assert "prepare_model.py hebrew-words" in missing.output
    folder = models / HEBREW_WORDS
    folder.mkdir(parents=True)
    write_frequencies(folder, {"ירושלימ": 1e-4})
    assert lines(checked("words", sqlite, models_dir=models)) == ["ok"]
    (folder / WORDS_FILE).write_bytes(b"damaged")
    damaged = checked("words", sqlite, models_dir=models)
    assert (damaged.exit_code, lines(damaged)) == (1, ["WRONG"])
    assert "prepare_model.py hebrew-words" in damaged.output


def test_each_fault_has_a_remedy() -> None:
    assert isinstance(check_command, click.Group)
    assert all(said and not said.endswith(".") for said in FAULTS.values())
