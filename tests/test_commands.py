"""flask search, embed, evaluate and models: what they answer, and what they say when they cannot."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from flask import Flask

from app import create_app
from commands.register import register
from indexing.documents import NewDocument, write_documents
from models import db
from tests import commands
from tests.collections import fill, off_side
from tests.conftest import closed, settings_for, sqlite_alone
from tests.semantic_side import use_semantic

QUERIES = '{"id": "1", "text": "חוזה שכירות"}\n{"id": "2", "text": "עדשים"}\n'
QRELS = "query-id\tcorpus-id\tscore\n1\trent\t1\n2\tbread\t1\n"


@pytest.fixture
def house(app: Flask) -> Flask:
    """The app over a small collection, with its commands and a model that is ready."""
    register(app)
    with app.app_context():
        use_semantic(app, fill(db.session()))
    return app


file_url = sqlite_alone


def run(app: Flask, *arguments: str | Path) -> Result:
    with app.app_context():  # as the flask command itself does
        return app.test_cli_runner().invoke(args=[str(argument) for argument in arguments])


def judgements(folder: Path, queries: str = QUERIES, qrels: str = QRELS) -> list[str]:
    (folder / "q.jsonl").write_text(queries, encoding="utf-8")
    (folder / "r.tsv").write_text(qrels, encoding="utf-8")
    return ["--queries", str(folder / "q.jsonl"), "--qrels", str(folder / "r.tsv")]


def test_json_is_the_apis_answer(house: Flask) -> None:
    client = house.test_client()
    for asked in (
        {"q": "זכויות עובדים", "mode": "hybrid"},
        {"q": "דירה", "mode": "text", "tag": "דיור"},
        {"q": "good bread", "mode": "semantic", "limit": "1"},
        {"q": "זכויות", "mode": "tags", "collection": "house"},
    ):
        options = [f"--{name}={value}" for name, value in asked.items() if name != "q"]
        ended = run(house, "search", asked["q"], "--json", *options)
        assert ended.exit_code == 0
        said, answered = json.loads(ended.stdout), client.get("/api/search", query_string=asked).get_json()
        assert said.pop("took_ms") >= 0
        assert answered.pop("took_ms") >= 0
        assert said == answered
        assert said["hits"]


def test_text_names_each_hit_with_its_collection_and_id(house: Flask) -> None:
    ended = run(house, "search", "עדשים", "--mode", "text")
    lines = ended.stdout.splitlines()
    assert lines[0] == "1 found"
    assert lines[2].startswith("1. מרק עדשים  [house/soup]  0.")
    assert "עדשים כתומות" in lines[3]
    assert run(house, "search", "אין כזה דבר", "--mode", "text").stdout == "Nothing found.\n"


def test_a_search_that_could_not_ask_the_model_says_so(house: Flask) -> None:
    use_semantic(house, off_side())
    assert (
        "Only keywords were searched: the model none is off" in run(house, "search", "x", "--mode", "semantic").stderr
    )
    assert run(house, "search", "עדשים").stderr == ""


@pytest.mark.parametrize("wrong", [["--limit", "0"], ["--limit", "101"], ["--mode", "fuzzy"], []])
def test_a_wrong_option_is_told_with_what_is_allowed(house: Flask, wrong: list[str]) -> None:
    ended = run(house, "search", *(["x", *wrong] if wrong else []))
    assert ended.exit_code == 2
    assert "Usage: " in ended.stderr


def test_figures_are_those_worked_out_by_hand(house: Flask, tmp_path: Path) -> None:
    files = judgements(tmp_path)
    ended = run(house, "evaluate", "--collection", "house", *files, "--mode", "text", "--mode", "tags", "--json")
    text, tags = json.loads(ended.stdout)
    # The first query's document is first; the second's document has none of its words.
    assert (text["mode"], text["queries"]) == ("text", 2)
    assert [figure["mean"] for figure in text["figures"].values()] == [0.5] * 5
    assert [figure["mean"] for figure in tags["figures"].values()] == [0] * 5
    table = run(house, "evaluate", "--collection", "house", *files).stdout.splitlines()
    assert [line.split()[0] for line in table] == ["mode", "text", "semantic", "hybrid"]
    assert "0.5000 [0.000, 1.000]" in table[1]


@pytest.mark.parametrize(
    ("queries", "qrels", "collection", "said"),
    [
        ("{\n", QRELS, "house", 'q.jsonl, line 1: not {"id"'),
        (QUERIES, QRELS + "1 rent 1\n", "house", "r.tsv, line 4: not query-id, corpus-id, score separated by tabs"),
        (QUERIES, "3\trent\t1\n", "house", "r.tsv judges none of the queries of q.jsonl"),
        (QUERIES, QRELS, "hause", "--collection hause: there is no such collection; there are: house"),
    ],
)
def test_judgements_that_measure_nothing_are_refused(
    file_url: str, tmp_path: Path, queries: str, qrels: str, collection: str, said: str
) -> None:
    app = create_app(settings_for(file_url, tmp_path))
    register(app)
    with app.app_context():
        fill(db.session())
    ended = run(app, "evaluate", "--collection", collection, *judgements(tmp_path, queries, qrels), "--mode", "text")
    closed(app)
    assert (ended.exit_code, said in ended.stderr) == (2, True), ended.stderr


def test_pairs_are_judged_and_a_model_too_often_wrong_ends_with_one(house: Flask, tmp_path: Path) -> None:
    pairs = tmp_path / "pairs.csv"
    pairs.write_text("one,other,close\nmanage budgets,budgets managing,yes\njava,sql,no\n", encoding="utf-8")
    right = run(house, "evaluate", "--skill-pairs", str(pairs))
    assert (right.exit_code, "it is" in right.stdout) == (0, True), right.stderr
    pairs.write_text("one,other,close\nmanage budgets,budgets managing,no\njava,sql,yes\n", encoding="utf-8")
    wrong = run(house, "evaluate", "--skill-pairs", str(pairs), "--json")
    assert (wrong.exit_code, json.loads(wrong.stdout)[0]["precision"]) == (1, 0.0)
    pairs.write_text("a,b\n", encoding="utf-8")
    assert run(house, "evaluate", "--skill-pairs", str(pairs)).exit_code == 2
    assert "or --skill-pairs" in run(house, "evaluate").stderr


def test_meaning_is_not_measured_without_a_model(house: Flask, tmp_path: Path) -> None:
    use_semantic(house, off_side())
    ended = run(house, "evaluate", "--collection", "house", *judgements(tmp_path))
    assert ended.exit_code == 2
    assert "SEMANTIC_MODEL=none" in ended.stderr


def test_models_are_listed_with_their_embeddings_and_the_current_one_marked(house: Flask) -> None:
    lines = run(house, "models").stdout.splitlines()
    assert lines[0].startswith("* hashed  64 dimensions  5 embeddings") or lines[0].startswith(
        "* hashed  64 dimensions  10 emb"
    )
    assert lines[-1] == "Current: hashed (SEMANTIC_MODEL=hashed)"


def test_embedding_goes_on_where_it_stopped(house: Flask) -> None:
    assert "0 embedded under hashed" in run(house, "embed").stdout
    with house.app_context():
        write_documents(db.session(), "other", [NewDocument("1", "אבן", "סלע", ("אבנים",))])
        write_documents(db.session(), "third", [NewDocument("1", "עלה", "ענף")])
    assert "2 embedded under hashed" in run(house, "embed", "--collection", "other").stdout  # the tag as well
    assert "1 embedded under hashed" in run(house, "embed").stdout


def test_without_a_model_embedding_says_how_to_have_one(file_url: str, tmp_path: Path) -> None:
    ended = commands.run(settings_for(file_url, tmp_path), "embed")
    assert ended.returncode == 2
    assert "SEMANTIC_MODEL=none: semantic search is turned off" in ended.stderr
    missing: dict[str, Any] = {"semantic_model": "e5-small", "models_dir": tmp_path / "nowhere"}
    ended = commands.run(settings_for(file_url, tmp_path, **missing), "embed")
    assert ended.returncode == 2
    assert f"{tmp_path / 'nowhere' / 'e5-small'} is not there" in ended.stderr
    assert "python scripts/prepare_model.py e5-small" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_on_a_database_without_tables_every_command_says_what_to_do(tmp_path: Path) -> None:
    app = create_app(settings_for(f"sqlite:///{tmp_path / 'empty.db'}", tmp_path))
    register(app)
    (tmp_path / "x.csv").write_text("title\nא\n", encoding="utf-8")
    evaluated = ["evaluate", "--collection", "x", *judgements(tmp_path)]
    for line in (["search", "x"], ["embed"], ["models"], ["import", str(tmp_path / "x.csv")], evaluated):
        ended = run(app, *line)
        assert ended.exit_code == 2, line
        assert "flask --app app db upgrade" in ended.stderr
    closed(app)


def test_a_database_that_is_not_there_is_told_without_its_password(tmp_path: Path) -> None:
    settings = settings_for("postgresql://matmon:hunter2hunter2@127.0.0.1:1/matmon", tmp_path)
    ended = commands.run(settings, "search", "x")
    assert ended.returncode == 2
    assert "The database does not answer" in ended.stderr
    assert "hunter2" not in ended.stdout + ended.stderr
