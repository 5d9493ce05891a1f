"""flask search | evaluate: search as the pages do, and measure how well searches rank and skills match."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import NoReturn

import click

from commands.console import LOADING_S, loaded_encoder, need_tables, progress_bar, refuse, semantic_side
from encoders.skill_pairs import OWN as SHIPPED_PAIRS
from encoders.skill_pairs import BadPairs, read_pairs
from matching.pairs import LEAST_PRECISION, PairFigures, called_close, pair_figures
from models import db
from search.documents import collections
from search.evaluation import (
    QUESTIONS,
    BadJudgements,
    Evaluation,
    KindFigures,
    evaluate,
    evaluate_by_kind,
    read_judgements,
    read_queries,
    read_questions,
)
from search.query import MODES, of_mapping
from search.results import ResultsPage
from search.search import search

EXISTING_FILE = click.Path(exists=True, path_type=Path)


@click.command("search")
@click.argument("text")
@click.option("--mode", type=click.Choice(MODES), default="hybrid", show_default=True)
@click.option("--collection", default="")
@click.option("--tag", multiple=True, help="A tag that documents must have; may be repeated.")
@click.option("--limit", type=click.IntRange(1, 100), default=10, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="The same response as GET /api/search.")
def search_command(text: str, mode: str, collection: str, tag: tuple[str, ...], limit: int, as_json: bool) -> None:
    """Search for TEXT."""
    from search.results import results_json

    need_tables()
    query = of_mapping({"q": text, "collection": collection, "tag": list(tag), "limit": str(limit)}, mode)
    results = search(db.session(), query, semantic_side(), wait_s=LOADING_S)
    click.echo(json.dumps(results_json(results), ensure_ascii=False, indent=2) if as_json else results_text(results))
    state = results.semantic_state
    if (mode == "semantic" and state != "ready") or (mode == "hybrid" and state not in ("ready", "off")):
        click.echo(f"Only keywords were searched: the model {results.semantic_model} is {state}", err=True)


def results_text(results: ResultsPage) -> str:
    corrected = [
        f"No document has {correction.typed}; shown for {', '.join(correction.shown)}."
        for correction in results.corrections
    ]
    if not results.hits:
        return "\n".join([*corrected, "Nothing found."])
    if results.is_weak:
        corrected.append("Nothing here answers this closely. The nearest results:")
    lines = [*corrected, f"{results.total}{'' if results.total_is_exact else '+'} found"]
    for rank, hit in enumerate(results.hits, results.first):
        title = f"{rank}. {hit.plain_title}  [{hit.collection}/{hit.id}]  {hit.score:.2f}"
        lines += ["", title, f"   {hit.plain_snippet}"]
    return "\n".join(lines)


@click.command("evaluate")
@click.option("--collection", default="")
@click.option("--queries", type=EXISTING_FILE, help='JSON lines: {"id", "text"}.')
@click.option("--qrels", type=EXISTING_FILE, help="TSV: query, document, score.")
@click.option(
    "--questions", type=EXISTING_FILE, is_flag=False, flag_value=QUESTIONS,
    help='JSON lines: {"text", "kind", "relevant"}: figures by kind. Without a file, those over the sample collection.',
)  # fmt: skip
@click.option(
    "--skill-pairs", type=EXISTING_FILE, is_flag=False, flag_value=SHIPPED_PAIRS,
    help="Measure the precision of close skills instead of searches. CSV: one, other, close (yes or no).",
)  # fmt: skip
@click.option("--mode", "modes", type=click.Choice(MODES), multiple=True, default=("text", "semantic", "hybrid"))
@click.option("--json", "as_json", is_flag=True)
def evaluate_command(
    collection: str, queries: Path | None, qrels: Path | None, questions: Path | None, skill_pairs: Path | None,
    modes: tuple[str, ...], as_json: bool,
) -> None:  # fmt: skip
    """Measure how well searches rank relevant documents, or how precise close skills are."""
    if skill_pairs is not None:
        evaluate_pairs(skill_pairs, as_json)
    if questions is not None:
        evaluate_questions(collection or "sample", questions, modes, as_json)
        return
    if not collection or queries is None or qrels is None:
        refuse("evaluate needs --collection, --queries and --qrels, or --questions, or --skill-pairs")
    need_tables()
    try:
        query_texts, judgements = read_queries(queries), read_judgements(qrels)
    except BadJudgements as error:
        refuse(str(error))
    if not any(judgements.get(query) for query in query_texts):
        refuse(f"{qrels.name} judges none of the queries of {queries.name}: are the query ids the same?")
    need_collection(collection)
    if {"hybrid", "semantic"}.intersection(modes):
        loaded_encoder()
    evaluations = []
    for mode in modes:
        with progress_bar(total=len(query_texts), desc=mode) as bar:
            evaluations.append(
                evaluate(db.session(), semantic_side(), collection, mode, query_texts, judgements, bar.update)
            )
    values = [asdict(evaluation) for evaluation in evaluations]
    click.echo(json.dumps(values, indent=2) if as_json else evaluation_table(evaluations))


def need_collection(collection: str) -> None:
    if collection not in (names := collections(db.session())):
        refuse(f"--collection {collection}: there is no such collection; there are: {', '.join(names) or 'none'}")


def evaluate_questions(collection: str, path: Path, modes: tuple[str, ...], as_json: bool) -> None:
    """Print the figures of each mode by kind of question."""
    need_tables()
    need_collection(collection)
    try:
        questions = read_questions(path)
    except BadJudgements as error:
        refuse(str(error))
    if {"hybrid", "semantic"}.intersection(modes):
        loaded_encoder()
    figures: list[KindFigures] = []
    for mode in modes:
        with progress_bar(total=len(questions), desc=mode) as bar:
            figures += evaluate_by_kind(db.session(), semantic_side(), collection, mode, questions, bar.update)
    if as_json:
        click.echo(json.dumps([asdict(one) for one in figures], ensure_ascii=False, indent=2))
        return
    click.echo(f"{'mode':10}{'kind of question':34}{'':>5}{'mrr@10':>9}{'ndcg@10':>9}{'among 3':>9}{'nothing':>9}")
    for one in figures:
        values = "".join(f"{value:9.3f}" for value in (one.mrr, one.ndcg, one.success, one.nothing))
        click.echo(f"{one.mode:10}{one.kind:34}{one.questions:5}{values}")


def evaluation_table(evaluations: list[Evaluation]) -> str:
    lines = [f"{'mode':10}" + "".join(f"{name:>24}" for name in evaluations[0].figures) + f"{'CPU ms':>9}"]
    for evaluation in evaluations:
        cells = [f"{f.mean:.4f} [{f.low:.3f}, {f.high:.3f}]" for f in evaluation.figures.values()]
        lines.append(f"{evaluation.mode:10}" + "".join(f"{cell:>24}" for cell in cells) + f"{evaluation.cpu_ms:9.1f}")
    return "\n".join(lines)


def evaluate_pairs(path: Path, as_json: bool) -> NoReturn:
    """Print precision and recall of close skills; exit with 1 if precision is below LEAST_PRECISION."""
    try:
        pairs = read_pairs(path)
    except BadPairs as error:
        refuse(str(error))
    encoder = loaded_encoder()
    figures = pair_figures(pairs, called_close(encoder, pairs))
    is_precise = figures[0].precision >= LEAST_PRECISION
    if as_json:
        values = [asdict(row) | {"precision": row.precision, "recall": row.recall} for row in figures]
        click.echo(json.dumps(values, ensure_ascii=False, indent=2))
    else:
        click.echo(pairs_table(figures))
        limit = f"{encoder.name}: the precision of close skills must be at least {LEAST_PRECISION:.0%}"
        click.echo(
            f"{limit}: {'it is' if is_precise else 'it is not; measure its tag_same again, or use another model'}"
        )
    sys.exit(0 if is_precise else 1)


def pairs_table(figures: list[PairFigures]) -> str:
    lines = [f"{'pairs':24}{'':>6}{'close':>7}{'called':>8}{'right':>7}{'precision':>11}{'recall':>8}"]
    for row in figures:
        counts = f"{row.pairs:6}{row.close:7}{row.called:8}{row.right:7}"
        lines.append(f"{row.name:24}{counts}{row.precision:11.3f}{row.recall:8.3f}")
    return "\n".join(lines)
