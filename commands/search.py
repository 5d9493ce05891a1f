"""flask import | search | evaluate: the same engine as the pages, from the command line."""

from __future__ import annotations

import json

import click

from commands.console import LOADING_S, need_tables, semantic_side
from models import db
from search.query import MODES, of_mapping
from search.results import ResultsPage
from search.search import search


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
    results = search(db.session(), query, semantic_side(), wait_s=LOADING_S)
    click.echo(json_answer(results) if as_json else listed(results))
    state = results.semantic_state
    if (mode == "semantic" and state != "ready") or (mode == "hybrid" and state not in ("ready", "off")):
        click.echo(f"Meaning was not searched: the model {results.semantic_model} is {state}", err=True)


def json_answer(results: ResultsPage) -> str:
    from search.results import results_json

    return json.dumps(results_json(results), ensure_ascii=False, indent=2)


def listed(results: ResultsPage) -> str:
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
