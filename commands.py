"""flask import | search | evaluate: the same engine as the pages, from the command line."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import click
from flask import Flask

from backup_commands import backup_command, export_command, restore_command
from check_commands import check_command
from cluster_commands import cluster_command
from console import LOADING_S, loaded_encoder, need_tables, progress_bar, refuse, semantic
from encoders.skill_pairs import OWN as SHIPPED_PAIRS
from encoders.skill_pairs import BadPairs, read_pairs
from indexing.importing import Options, Preview, Report, import_file, mapping_of, preview
from indexing.reading import FileUnusable
from matching.pairs import LEAST_PRECISION, Judged, called_close, judged
from model_commands import embed_command, models_command, serve_embeddings_command
from models import db
from search.documents import collections
from search.evaluation import BadJudgements, Evaluation, evaluate, read_judgements, read_queries
from search.query import MODES, of_mapping
from search.results import Results
from search.search import search
from utils.sql import freshen_statistics
from vector_commands import vectors_command
from worker_commands import worker_command

BY_MEANING = frozenset({"hybrid", "semantic"})


def register(app: Flask) -> None:
    for command in (
        import_command,
        embed_command,
        search_command,
        evaluate_command,
        models_command,
        vectors_command,
        cluster_command,
        serve_embeddings_command,
        backup_command,
        restore_command,
        export_command,
        worker_command,
        check_command,
    ):
        app.cli.add_command(command)


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--collection", default="documents", show_default=True, help="The collection the documents join.")
@click.option("--map", "mapping", multiple=True, metavar="FIELD=COLUMN", help="Which column is which field.")
@click.option("--tag-separator", help="What parts the tags of one cell; else ; or | or a comma.")
@click.option("--drop", multiple=True, metavar="COLUMN", help="A column to leave out.")
@click.option(
    "--preview", "only_preview", is_flag=True, help="Show how the columns are understood; nothing is written."
)
def import_command(
    file: Path,
    collection: str,
    mapping: tuple[str, ...],
    tag_separator: str | None,
    drop: tuple[str, ...],
    only_preview: bool,
) -> None:
    """Import documents from a CSV, JSON lines or JSON FILE. The same file again changes nothing."""
    if not only_preview:
        need_tables()
    size = file.stat().st_size if file.is_file() else 0
    try:
        options = Options(collection, mapping_of(mapping), tag_separator, frozenset(drop))
        if only_preview:
            click.echo(previewed(preview(file, options)))
            return
        with progress_bar(total=size, unit="B", unit_scale=True, desc=file.name) as bar:
            told = partial(show_bytes, bar)
            report = import_file(db.session(), file, options, told, own_process=True)
    except FileUnusable as error:
        refuse(str(error))
    freshen_statistics(db.session())
    click.echo(summary(report))
    sys.exit(report.exit_code)


def previewed(found: Preview) -> str:
    """Return how a file is understood: each column with its meaning and first value, and the first documents."""
    meant = {"": "kept with the document", "-": "left out"}
    wide = max(len(column) for column, _, _ in found.columns)
    lines = [
        f"{column:<{wide}}  {meant.get(meaning, meaning):<22}  {shown}" for column, meaning, shown in found.columns
    ]
    for one in found.documents:
        lines += ["", f"{one.own_id}: {one.title}", f"  {one.body[:100]}", f"  {'; '.join(one.tags)}"]
    lines += ["", *(f"line {row.line}: {row.reason}" for row in found.refused), "Nothing was written."]
    return "\n".join(lines)


def show_bytes(bar: Any, done: int) -> None:
    bar.update(done - bar.n)


def summary(report: Report) -> str:
    written = report.written
    lines = [f"{written.new} new, {written.changed} changed, {written.unchanged} unchanged"]
    if report.duplicates:
        lines.append(f"{report.duplicates} earlier rows with an id that a later row has: the later one counts")
    if report.rejects:
        lines.append(f"{report.refused} rows refused: see {report.rejects}")
    return "\n".join(lines)


@click.command("search")
@click.argument("text")
@click.option("--mode", type=click.Choice(MODES), default="hybrid", show_default=True)
@click.option("--collection", default="")
@click.option("--tag", multiple=True, help="A tag that must hold; may be given several times.")
@click.option("--limit", type=click.IntRange(1, 100), default=10, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="The same answer as GET /api/search.")
def search_command(text: str, mode: str, collection: str, tag: tuple[str, ...], limit: int, as_json: bool) -> None:
    """Search for TEXT."""
    need_tables()
    query = of_mapping({"q": text, "collection": collection, "tag": list(tag), "limit": str(limit)}, mode)
    results = search(db.session(), query, semantic(), wait_s=LOADING_S)
    click.echo(json_answer(results) if as_json else listed(results))
    state = results.semantic_state
    if (mode == "semantic" and state != "ready") or (mode == "hybrid" and state not in ("ready", "off")):
        click.echo(f"Meaning was not searched: the model {results.semantic_model} is {state}", err=True)


def json_answer(results: Results) -> str:
    from api import results_json

    return json.dumps(results_json(results), ensure_ascii=False, indent=2)


def listed(results: Results) -> str:
    if not results.hits:
        return "Nothing found."
    lines = [f"{results.total}{'' if results.total_is_exact else '+'} found"]
    for rank, hit in enumerate(results.hits, results.first):
        lines += [
            "",
            f"{rank}. {hit.plain_title}  [{hit.collection}/{hit.id}]  {hit.score:.2f}",
            f"   {hit.plain_snippet}",
        ]
    return "\n".join(lines)


@click.command("evaluate")
@click.option("--collection", default="")
@click.option("--queries", type=click.Path(exists=True, path_type=Path), help='{"id", "text"} a line.')
@click.option("--qrels", type=click.Path(exists=True, path_type=Path), help="TSV: query, document, score.")
@click.option(
    "--skill-pairs", type=click.Path(exists=True, path_type=Path), is_flag=False, flag_value=SHIPPED_PAIRS,
    help="Instead of searches: how right it is to call two skills close. CSV: one, other, close (yes or no).",
)  # fmt: skip
@click.option("--mode", "modes", type=click.Choice(MODES), multiple=True, default=("text", "semantic", "hybrid"))
@click.option("--json", "as_json", is_flag=True)
def evaluate_command(
    collection: str, queries: Path | None, qrels: Path | None, skill_pairs: Path | None, modes: tuple[str, ...],
    as_json: bool,
) -> None:  # fmt: skip
    """Measure how well searches find what was judged relevant, or how right close skills are."""
    if skill_pairs is not None:
        evaluate_pairs(skill_pairs, as_json)
    if not collection or queries is None or qrels is None:
        refuse("evaluate takes --collection, --queries and --qrels, or --skill-pairs")
    need_tables()
    try:
        asked, judged = read_queries(queries), read_judgements(qrels)
    except BadJudgements as error:
        refuse(str(error))
    if not any(judged.get(query) for query in asked):
        refuse(f"{qrels.name} judges none of the queries of {queries.name}: are the query ids the same?")
    if collection not in (known := collections(db.session())):
        refuse(f"--collection {collection}: there is none of this name; there are: {', '.join(known) or 'none'}")
    if BY_MEANING.intersection(modes):
        loaded_encoder()
    found = []
    for mode in modes:
        with progress_bar(total=len(asked), desc=mode) as bar:
            found.append(evaluate(db.session(), semantic(), collection, mode, asked, judged, bar.update))
    click.echo(json.dumps([asdict(one) for one in found], indent=2) if as_json else evaluation_table(found))


def evaluate_pairs(path: Path, as_json: bool) -> NoReturn:
    """Tell precision and recall of what matching calls close, and leave with 1 where it is too often wrong."""
    try:
        pairs = read_pairs(path)
    except BadPairs as error:
        refuse(str(error))
    encoder = loaded_encoder()
    found = judged(pairs, called_close(encoder, pairs))
    precise = found[0].precision >= LEAST_PRECISION
    if as_json:
        told = [asdict(one) | {"precision": one.precision, "recall": one.recall} for one in found]
        click.echo(json.dumps(told, ensure_ascii=False, indent=2))
    else:
        click.echo(pairs_table(found))
        bound = f"{encoder.name}: of what is called close at least {LEAST_PRECISION:.0%} must be"
        click.echo(f"{bound}: {'it is' if precise else 'it is not; measure its tag_same anew, or name another model'}")
    sys.exit(0 if precise else 1)


def pairs_table(found: list[Judged]) -> str:
    lines = [f"{'pairs':24}{'':>6}{'close':>7}{'called':>8}{'right':>7}{'precision':>11}{'recall':>8}"]
    for one in found:
        counts = f"{one.pairs:6}{one.close:7}{one.called:8}{one.right:7}"
        lines.append(f"{one.name:24}{counts}{one.precision:11.3f}{one.recall:8.3f}")
    return "\n".join(lines)


def evaluation_table(found: list[Evaluation]) -> str:
    names = list(found[0].figures)
    lines = [f"{'mode':10}" + "".join(f"{name:>24}" for name in names) + f"{'CPU ms':>9}"]
    for one in found:
        cells = [f"{f.mean:.4f} [{f.low:.3f}, {f.high:.3f}]" for f in one.figures.values()]
        lines.append(f"{one.mode:10}" + "".join(f"{cell:>24}" for cell in cells) + f"{one.cpu_ms:9.1f}")
    return "\n".join(lines)
