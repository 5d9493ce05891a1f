"""100,000 jobs out of 2,157 real roles: each takes skills of two roles of a trade, and a title of both."""

from __future__ import annotations

import json
import random
import shutil
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, select
from sqlalchemy.orm import Session

from benchmarks.alephbert import in_parts
from benchmarks.figures import DATA, WORK, flask
from encoders.manifest import read_manifest
from indexing.embedding import register_model
from models import Document, Embedding, Tag, TagEmbedding, tag_key
from utils.sql import freshen_statistics

ROLES = "jobs"  # the collection
JOBS = 100_000
OWN_SHARE = 0.7  # of a job's skills, those of its first role
ROWS_AT_ONCE = 5_000
MODEL = Path("models") / "e5-small"
Row = dict[str, Any]


@cache
def roles() -> Sequence[Row]:
    with (DATA / "job_roles.jsonl").open(encoding="utf-8") as lines:
        return tuple(json.loads(line) for line in lines)


@cache
def taxonomy() -> frozenset[str]:
    """Return the keys of all skills."""
    return frozenset(tag_key(skill) for role in roles() for skill in role["skills"])


def wide() -> Row:
    """Return a job of 60 skills, to stand beside a person of 60."""
    skills = sorted({skill for role in roles()[:6] for skill in role["skills"]})[:60]
    return {"id": "wide", "title": "A job of very many skills", "description": "", "skills": skills}


def jobs(count: int) -> Iterator[Row]:
    """Yield the roles themselves, and then jobs made of two of them; always the same ones."""
    chance = random.Random(11)
    trades: dict[str, list[Row]] = defaultdict(list)
    for role in roles():
        trades[role["category"]].append(role)
    yield from islice(roles(), count)
    if count > len(roles()):
        yield wide()
    for number, role in enumerate(islice(cycle(roles()), max(count - len(roles()), 0))):
        yield _recombined(role, chance.choice(trades[role["category"]]), number, chance)


def _recombined(role: Row, other: Row, number: int, chance: random.Random) -> Row:
    own = chance.sample(role["skills"], max(2, round(OWN_SHARE * len(role["skills"]))))
    borrowed = [skill for skill in other["skills"] if skill not in own]
    more = chance.sample(borrowed, min(len(borrowed), len(role["skills"]) - len(own)))
    title = f"{role['title']}, {other['title'].split()[0]}"
    return role | {"id": f"{role['id']}/{number}", "title": title, "skills": own + more}


def filled(name: str, count: int, source: Path | None = None, **environment: str) -> Path:
    """Return an instance folder with so many jobs; SQLite's is kept for the next run.

    Without a source they are embedded. With one, what is stored there of the tags and the roles' texts is taken over:
    the jobs made of a role have its description, and its embeddings.
    """
    instance = WORK / name
    if (instance / "whole").exists():
        flask(instance, "db", "upgrade", **environment)  # it may be of an earlier version
        return instance
    shutil.rmtree(instance, ignore_errors=True)
    instance.mkdir(parents=True)
    path = instance / "jobs.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for row in jobs(count):
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    flask(instance, "db", "upgrade", **environment)
    flask(instance, "import", str(path), "--collection", ROLES, **environment)
    if source is None:
        flask(instance, "embed", **environment)
    else:
        _embed_as(source, environment.get("DATABASE_URL", sqlite(instance)))
    if not environment:
        (instance / "whole").touch()
    return instance


def sqlite(instance: Path) -> str:
    return f"sqlite:///{instance / 'matmon.db'}"


def _embed_as(source: Path, url: str) -> None:
    own, engine = create_engine(sqlite(source)), create_engine(url.replace("postgresql://", "postgresql+psycopg2://"))
    with Session(engine) as session:
        model = register_model(session, read_manifest(MODEL))
        windows, tags = _stored(own)
        known = session.execute(select(Tag.id)).scalars().all()
        _insert(session, TagEmbedding, [{"model_id": model, "tag_id": one, "vector": tags[one]} for one in known])
        columns = select(Document.id, Document.own_id, Document.content_hash)
        for part in in_parts(session.execute(columns).all(), ROWS_AT_ONCE):
            rows = [
                window | {"document_id": one.id, "model_id": model, "content_hash": one.content_hash}
                for one in part
                for window in windows.get(one.own_id.split("/")[0], [])
            ]
            _insert(session, Embedding, rows)
        session.commit()
        freshen_statistics(session)
    own.dispose()
    engine.dispose()


def _stored(engine: Engine) -> tuple[dict[str, list[Row]], dict[int, bytes]]:
    """Return the windows of each role, and the vectors of tags."""
    with Session(engine) as session:
        columns = (Document.own_id, Embedding.window, Embedding.start, Embedding.end, Embedding.vector)
        windows: dict[str, list[Row]] = defaultdict(list)
        for own_id, *values in session.execute(select(*columns).join(Document, Document.id == Embedding.document_id)):
            windows[own_id].append(dict(zip(("window", "start", "end", "vector"), values, strict=True)))
        vectors = {row[0]: row[1] for row in session.execute(select(TagEmbedding.tag_id, TagEmbedding.vector))}
    return windows, vectors


def _insert(session: Session, table: Any, rows: Sequence[Row]) -> None:
    for part in in_parts(rows, ROWS_AT_ONCE):
        session.execute(table.__table__.insert(), list(part))
