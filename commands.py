"""flask import | embed | search | evaluate | models: the same engine as the pages, from the command line."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import Any, NoReturn

import click
from flask import Flask, current_app
from sqlalchemy import inspect
from sqlalchemy.exc import OperationalError

from config import ORIGINAL, Settings
from encoders.manifest import ModelUnusable, read_manifest
from encoders.turns import EncoderAway
from indexing.choosing import chosen_key, drop, missing, stored_models, switch
from indexing.embedding import Progress, embed, waiting_documents
from indexing.importing import Options, Report, import_file
from indexing.reading import FileUnusable
from models import db
from search.chosen import Prepared
from search.documents import collections
from search.evaluation import BadJudgements, Evaluation, evaluate, read_judgements, read_queries
from search.query import MODES, of_mapping
from search.results import Results
from search.search import search
from search.semantic import Semantic
from utils.sql import freshen_statistics

LOADING_S = 120
BY_MEANING = frozenset({"hybrid", "semantic"})


def register(app: Flask) -> None:
    for command in (
        import_command,
        embed_command,
        search_command,
        evaluate_command,
        models_command,
        serve_embeddings_command,
    ):
        app.cli.add_command(command)


def refuse(message: str) -> NoReturn:
    """Say what is wrong and end with 2: nothing was done."""
    click.echo(message, err=True)
    sys.exit(2)


def semantic() -> Semantic:
    found: Semantic = current_app.extensions["matmon.semantic"]
    return found


def need_tables() -> None:
    try:
        made = inspect(db.engine).has_table("state")
    except OperationalError as error:
        refuse(f"The database does not answer: {str(error.orig).strip()}")
    if not made:
        refuse("The database has no tables yet; make them with: flask --app app db upgrade")


def progress_bar(**options: Any) -> Any:
    from tqdm import tqdm

    return tqdm(disable=not sys.stderr.isatty(), **options)


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--collection", default="documents", show_default=True, help="The collection the documents join.")
@click.option("--map", "mapping", multiple=True, metavar="FIELD=COLUMN", help="Which column is which field.")
@click.option("--tag-separator", help="What parts the tags of one cell; else ; or | or a comma.")
@click.option("--drop", multiple=True, metavar="COLUMN", help="A column to leave out.")
def import_command(
    file: Path, collection: str, mapping: tuple[str, ...], tag_separator: str | None, drop: tuple[str, ...]
) -> None:
    """Import documents from a CSV, JSON lines or JSON FILE. The same file again changes nothing."""
    need_tables()
    if any("=" not in pair for pair in mapping):
        refuse("--map takes FIELD=COLUMN, such as --map title=name")
    pairs = dict(pair.split("=", 1) for pair in mapping)
    options = Options(collection, pairs, tag_separator, frozenset(drop))
    size = file.stat().st_size if file.is_file() else 0
    try:
        with progress_bar(total=size, unit="B", unit_scale=True, desc=file.name) as bar:
            told = partial(show_bytes, bar)
            report = import_file(db.session(), file, options, told, own_process=True)
    except FileUnusable as error:
        refuse(str(error))
    freshen_statistics(db.session())
    click.echo(summary(report))
    sys.exit(report.exit_code)


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


@click.command("embed")
@click.option("--collection", default="", help="Only this collection's documents.")
@click.option("--model", default="", help="Another prepared model, while the current one serves.")
def embed_command(collection: str, model: str) -> None:
    """Encode tags and documents that have no embedding under the current model. Goes on where it was stopped."""
    need_tables()
    if model:
        found = prepared_model(model)
        semantic().lazy.switch(found.load, model)  # in this process alone: the site goes on with its own
    else:
        semantic().follow(db.session())
    encoder = loaded_encoder()
    with progress_bar(unit=" texts", desc=encoder.name) as bar:
        try:
            done = embed(db.session(), encoder, collection, shown_on(bar))
        except EncoderAway as stopped:
            click.echo(f"Stopped: {stopped}. What is done is kept; run it again to go on", err=True)
            sys.exit(1)
    if done.done:
        freshen_statistics(db.session())
    click.echo(f"{done.done} embedded under {encoder.name}")
    if waiting := waiting_documents(db.session(), register_key(encoder), collection):
        click.echo(f"{waiting} documents came meanwhile: run it again")


def loaded_encoder() -> Any:
    side = semantic()
    if side.is_off:
        refuse("SEMANTIC_MODEL=none: semantic search is turned off; set it to a model, such as e5-small")
    if not side.ready(LOADING_S) or side.lazy.encoder is None:
        refuse(f"The model {side.lazy.model} cannot be loaded: {side.lazy.error}")
    return side.lazy.encoder


def register_key(encoder: Any) -> int:
    from search.semantic import model_of

    return model_of(encoder)


def shown_on(bar: Any) -> Callable[[Progress], None]:
    def show(progress: Progress) -> None:
        bar.total = progress.total
        bar.update(progress.done - bar.n)

    return show


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
@click.option("--collection", required=True)
@click.option("--queries", type=click.Path(exists=True, path_type=Path), required=True, help='{"id", "text"} a line.')
@click.option(
    "--qrels",
    type=click.Path(exists=True, path_type=Path),
    required=True,
    help="TSV: query, document, score.",
)
@click.option("--mode", "modes", type=click.Choice(MODES), multiple=True, default=("text", "semantic", "hybrid"))
@click.option("--json", "as_json", is_flag=True)
def evaluate_command(collection: str, queries: Path, qrels: Path, modes: tuple[str, ...], as_json: bool) -> None:
    """Measure how well searches find what was judged relevant."""
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


def evaluation_table(found: list[Evaluation]) -> str:
    names = list(found[0].figures)
    lines = [f"{'mode':10}" + "".join(f"{name:>24}" for name in names) + f"{'CPU ms':>9}"]
    for one in found:
        cells = [f"{f.mean:.4f} [{f.low:.3f}, {f.high:.3f}]" for f in one.figures.values()]
        lines.append(f"{one.mode:10}" + "".join(f"{cell:>24}" for cell in cells) + f"{one.cpu_ms:9.1f}")
    return "\n".join(lines)


@click.group("models", invoke_without_command=True)
@click.pass_context
def models_command(context: click.Context) -> None:
    """List the models that are prepared or have embeddings, and which one is current."""
    if context.invoked_subcommand is not None:
        return
    need_tables()
    side = semantic()
    side.follow(db.session())
    stored = stored_models(db.session())
    for one in stored:
        mark = "*" if one.key == side.model_key else " "
        click.echo(
            f"{mark} {one.name}  {one.dim} wide  {one.embeddings} embeddings, {one.tags} of tags  ({one.checksum[:12]})"
        )
    settings: Settings = current_app.extensions["matmon.settings"]
    named = {one.name for one in stored}
    for path in sorted(settings.models_dir.glob("*/manifest.json")):
        if path.parent.name not in named:
            click.echo(f"  {path.parent.name}  prepared, no embeddings")
    chosen = chosen_key(db.session())
    how = "switched to" if chosen else f"SEMANTIC_MODEL={side.default_model}"
    where = f" at {settings.embeddings_url}" if side.lazy.model == "remote" else ""
    click.echo(f"Current: {side.lazy.model}{where} ({how})")


@models_command.command("switch")
@click.argument("name")
def switch_command(name: str) -> None:
    """Serve with the model NAME from now on, in every process at once; refused while embeddings are missing."""
    need_tables()
    found = prepared_model(name)
    documents, tags = missing(db.session(), found.key or 0)
    if documents or tags:
        refuse(
            f"{documents} documents and {tags} tags have no embedding under {name} yet; make them, while the present"
            f" model serves, with: flask --app app embed --model {name}"
        )
    switch(db.session(), found.manifest or found.load().manifest)
    click.echo(f"{name} serves from now on")


@models_command.command("drop")
@click.argument("name")
def drop_command(name: str) -> None:
    """Delete the embeddings of the model NAME; the current one is refused. Its folder stays."""
    need_tables()
    side = semantic()
    side.follow(db.session())
    stored = [one for one in stored_models(db.session()) if one.name == name]
    if not stored:
        known = {one.name for one in stored_models(db.session())}
        refuse(f"{name} has no embeddings; there are some of: {', '.join(sorted(known)) or 'none'}")
    dropped = [one for one in stored if one.key != side.model_key]
    if not dropped:
        refuse(f"{name} is the current model; switch to another first with: flask --app app models switch NAME")
    with progress_bar(total=sum(one.embeddings + one.tags for one in dropped), unit=" embeddings", desc=name) as bar:
        for one in dropped:
            drop(db.session(), one.key, bar.update)
    count = sum(one.embeddings + one.tags for one in dropped)
    click.echo(f"{count} embeddings of {name} deleted")


def prepared_model(name: str) -> Prepared:
    """Return a model of which embeddings can be made and searched; what cannot be served is refused."""
    if semantic().is_off:
        refuse("SEMANTIC_MODEL=none: semantic search is turned off; set it to a model, such as e5-small")
    find = semantic().find
    if find is None:
        refuse(f"{name} cannot be loaded here")
    found = find(name)
    if found.name == "remote":
        return remote_model(found, name)
    if wrong := folder_fault(name):
        refuse(wrong)
    return found


def remote_model(found: Prepared, name: str) -> Prepared:
    """Return the model of the other host with its manifest; one of another name is refused."""
    try:
        known = found.manifest or found.load().manifest
    except ModelUnusable as error:
        refuse(str(error))
    if name not in ("remote", known.name):
        refuse(f"{name} is not there, and the host at EMBEDDINGS_URL serves {known.name}")
    return replace(found, manifest=known)


def folder_fault(name: str) -> str:
    """Return what is wrong with a model folder, as a sentence; nothing where it can be served."""
    folder = name.removesuffix(ORIGINAL)
    try:
        manifest = read_manifest(current_app.extensions["matmon.settings"].models_dir / folder)
    except ModelUnusable as error:
        return str(error)
    if manifest.name != folder:
        return f"{manifest.folder} holds the model {manifest.name}: rename the folder to that"
    return ""


@click.command("serve-embeddings")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=click.IntRange(1, 65_535), default=8080, show_default=True)
@click.option("--threads", type=click.IntRange(1, 64), default=4, show_default=True)
def serve_embeddings_command(host: str, port: int, threads: int) -> None:
    """Serve the model to other hosts, which need none then: SEMANTIC_MODEL=remote EMBEDDINGS_URL=http://HOST:PORT.

    EMBEDDINGS_API_KEY, if it is set, is the key that they must have too.
    """
    side = semantic()
    if side.is_off or side.lazy.model == "remote":
        refuse("There is no model here to serve: set SEMANTIC_MODEL to a prepared one, such as e5-small")
    from gunicorn.app.base import BaseApplication  # type: ignore[import-untyped]

    from embeddings_server import create_embeddings_app

    key = current_app.extensions["matmon.settings"].embeddings_api_key
    if not is_this_machine(host) and not key:
        refuse(f"--host {host} lets everyone in: set EMBEDDINGS_API_KEY first")
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    # Sites keep their connections; an idle one holds no thread.
    options = {"bind": address, "workers": 1, "worker_class": "gthread", "threads": threads, "timeout": 120,
               "keepalive": 75, "control_socket_disable": True}  # fmt: skip

    class Server(BaseApplication):
        def load_config(self) -> None:
            for name, value in options.items():
                self.cfg.set(name, value)

        def load(self) -> Any:
            return create_embeddings_app(side, key)

    click.echo(f"{side.lazy.model} is served at http://{address}/v1/embeddings")
    Server().run()


def is_this_machine(host: str) -> bool:
    """Tell whether only this machine can reach an address; of a name other than localhost nobody knows."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
