"""No address makes more statements for much than for little: all are visited on a small site and on a larger one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from app import create_app
from matching.idf import clear_idf_cache
from matching.tag_names import clear_names_cache
from models import db
from operations.health import _COUNTS
from search.saved_searches import MOST_OF_BROWSER
from tests.conftest import Started, closed, settings_for
from tests.plans import executed
from tests.visited import READS, WRITES, Visit, furnished, visitor

FEW, MANY = 25, 100  # of both there are hits: an answer without any needs fewer
# Asked only where an answer has it: tags in other words, documents that only their meaning found, a second page.
NOT_ALWAYS = 2
# What is new in a kept search is a search of its own: a page has A_PAGE of them, and this answer all that are kept.
# What is missing is explained by documents, where there are any; few have none.
MORE = {"api_saved_searches.api_searches": MOST_OF_BROWSER * 10, "api_matching.api_skill_gap": NOT_ALWAYS + 1}
# Addresses that write, tried by their own tests: files, and starting what runs behind the page.
APART = frozenset(
    "imports.import_upload imports.import_columns imports.import_start imports.import_cancel api_imports.api_import"
    " api_imports.api_import_cancel imports.import_undo api_imports.api_import_undo"
    " screenings.screenings_begin screenings.screening_decide screenings.screening_run screenings.screening_cancel"
    " screenings.screening_delete screenings.screening_share screenings.screening_unshare"
    " documents.new_document_sent documents.edit_document_sent documents.delete_document"
    " collections.collection_access collections.collection_delete_sent"
    " forgetting.forget_asked keys.sign_in_asked keys.sign_out_asked keys.key_make keys.key_revoke"
    " saved_searches.searches_keep saved_searches.searches_run saved_searches.searches_delete".split()
)
Sites = tuple[FlaskClient, FlaskClient]


@contextmanager
def site(started: Started, kind: str, folder: Path, much: int) -> Iterator[FlaskClient]:
    with started.maker(kind).fresh(folder) as url:
        app = create_app(settings_for(url, folder, rate_limit="100000/minute", background="worker"))
        with app.app_context():
            side = furnished(db.session(), much)
            db.session.remove()
        client = visitor(app, side)
        client.get("/semantic?q=common&tag=skill+1+of+many")  # embeddings are taken into memory
        client.get("/api/recommend")
        yield client
        closed(app)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def sites(
    request: pytest.FixtureRequest, started: Started, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Sites]:
    small, large = (tmp_path_factory.mktemp(name) for name in ("small", "large"))
    with site(started, request.param, small, FEW) as few, site(started, request.param, large, MANY) as many:
        yield few, many


def statements(client: FlaskClient, visit: Visit) -> list[str]:
    """Return what a visit executes, nothing kept from an earlier one, embeddings in memory apart."""
    with client.application.app_context():
        clear_idf_cache()
        clear_names_cache()
        _COUNTS.clear()
        with executed() as said:
            answer = visit.made(client)
        db.session.remove()
    assert answer.status_code < 400, f"{visit}: {answer.get_data(as_text=True)[:300]}"
    return [statement for statement, _ in said]


@pytest.mark.parametrize("endpoint", READS)
def test_no_address_makes_more_statements_for_much_than_for_little(sites: Sites, endpoint: str) -> None:
    for visit in READS[endpoint]:
        few, many = (statements(client, visit) for client in sites)
        more = [one for one in many if many.count(one) > few.count(one)]
        assert len(many) - len(few) <= MORE.get(endpoint, NOT_ALWAYS), f"{visit}: {len(few)}, then {len(many)}: {more}"


def test_every_address_is_visited(sites: Sites) -> None:
    known = {*READS, *WRITES, *APART}
    assert {rule.endpoint for rule in sites[0].application.url_map.iter_rules()} == known


def test_a_hybrid_page_takes_at_most_twelve_statements(sites: Sites) -> None:
    """Whatever is found: words, tags that the query names, documents near in meaning. A phrase takes one more."""
    for client in sites:
        for path in (
            "/?q=common",
            "/?q=common&tag=skill+1+of+many",
            "/?q=skill+1+of+many",
            "/api/search?q=common+words",
        ):
            made = statements(client, Visit(path)) and statements(client, Visit(path))
            assert len(made) <= 12, (path, len(made), made)
