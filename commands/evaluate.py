"""flask evaluate: how well searches rank, and how precise skill matching is."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import NoReturn

import click

from commands.console import loaded_encoder, need_tables, progress_bar, refuse, semantic_side
from encoders.skill_pairs import OWN as SHIPPED_PAIRS
from encoders.skill_pairs import BadPairs, read_pairs
from matching.pairs import LEAST_PRECISION, PairFigures, called_close, pair_figures
from models import db
from search.documents import collections
from search.evaluation import BadJudgements, Evaluation, evaluate, read_judgements, read_queries
from search.query import MODES

BY_MEANING = frozenset({"hybrid", "semantic"})


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
    evaluations = []
    for mode in modes:
        with progress_bar(total=len(asked), desc=mode) as bar:
            evaluations.append(evaluate(db.session(), semantic_side(), collection, mode, asked, judged, bar.update))
    click.echo(json.dumps([asdict(one) for one in evaluations], indent=2) if as_json else evaluation_table(evaluations))


def evaluate_pairs(path: Path, as_json: bool) -> NoReturn:
    """Tell precision and recall of what matching calls close, and leave with 1 where it is too often wrong."""
    try:
        pairs = read_pairs(path)
    except BadPairs as error:
        refuse(str(error))
    encoder = loaded_encoder()
    figures = pair_figures(pairs, called_close(encoder, pairs))
    precise = figures[0].precision >= LEAST_PRECISION
    if as_json:
        values = [asdict(one) | {"precision": one.precision, "recall": one.recall} for one in figures]
        click.echo(json.dumps(values, ensure_ascii=False, indent=2))
    else:
        click.echo(pairs_table(figures))
        bound = f"{encoder.name}: of what is called close at least {LEAST_PRECISION:.0%} must be"
        click.echo(f"{bound}: {'it is' if precise else 'it is not; measure its tag_same anew, or name another model'}")
    sys.exit(0 if precise else 1)


def pairs_table(found: list[PairFigures]) -> str:
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
