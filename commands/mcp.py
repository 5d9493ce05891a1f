"""flask mcp: the Model Context Protocol over standard input and output, for an assistant on the same machine."""

from __future__ import annotations

import json
import sys
from typing import BinaryIO, TextIO

import click
from flask import current_app

from commands.console import LOADING_S, need_tables
from models import db
from web.addresses import document_url
from web.current import runtime
from web.mcp_messages import Reply, reply_or_fault, too_long
from web.mcp_toolbox import Toolbox

LONGEST_MESSAGE = 1_048_576


@click.command("mcp")
@click.option("--site", default="", help="The site's address, such as https://example.org: documents are cited by it.")
def mcp_command(site: str) -> None:
    """Let an assistant on this machine search: it starts this command and talks to it."""
    need_tables()
    with current_app.test_request_context(base_url=site or None):
        serve(sys.stdin.buffer, sys.stdout, bool(site))


def serve(messages: BinaryIO, answers: TextIO, has_site: bool) -> None:
    """Answer one message a line until the input ends; the model is unloaded when idle, as in the web process."""
    runtime().guard.start()
    while line := messages.readline(LONGEST_MESSAGE + 1):
        if not line.strip():
            continue
        reply = answered(line, messages, has_site)
        if reply.message is not None:
            answers.write(json.dumps(reply.message, ensure_ascii=False) + "\n")
            answers.flush()


def answered(line: bytes, messages: BinaryIO, has_site: bool) -> Reply:
    if len(line) > LONGEST_MESSAGE:
        while not line.endswith(b"\n") and (line := messages.readline(LONGEST_MESSAGE)):
            pass
        return too_long(LONGEST_MESSAGE)
    toolbox = Toolbox(db.session(), runtime(), external_address if has_site else no_address, wait_s=LOADING_S)
    try:
        return reply_or_fault(line.decode("utf-8", "replace"), toolbox)
    finally:
        db.session.remove()  # the next message sees what was written meanwhile


def external_address(own_id: str, collection: str) -> str:
    return document_url(own_id, collection=collection, _external=True)


def no_address(own_id: str, collection: str) -> str:  # noqa: ARG001 - in the place of external_address
    return ""
