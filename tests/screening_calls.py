"""Calls of the API of screenings and of kept searches, for each answer that its description has."""

from __future__ import annotations

import time

from flask.testing import FlaskClient
from sqlalchemy import update
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from matching.aliases import Aliases
from models import Screening, ScreeningResult, db
from screening.store import KEPT_SCREENINGS, create_screening
from screening.vocabulary import screened_job
from search.saved_searches import MOST_OF_BROWSER
from search.semantic import Semantic
from tests.calls import TOKEN, Call, delete, get, post, put, too_often
from tests.screened import run_waiting

DONE, RUNS, NONE = "/api/screenings/7", "/api/screenings/8", "/api/screenings/9"
JOB = {"job_id": "rent", "jobs": "house", "profiles": "house"}
MARK = {"status": "shortlisted", "note": "להתקשר"}
RENT = {"address": "/text?q=rent&collection=house"}


def kept_screenings(session: Session, side: Semantic) -> None:
    """Keep one that is done, as number 7, and one that another process runs, as number 8."""
    wanted = screened_job(session, "house", "rent")
    create_screening(session, 1, wanted, "house").id = 7
    session.commit()
    bind = session.get_bind()
    assert run_waiting(lambda: Session(bind), side, Aliases) == 1
    other = create_screening(session, 1, wanted, "house")
    other.id, other.state, other.updated_at = 8, "running", int(time.time()) + 3_600
    session.commit()


def full(client: FlaskClient) -> TestResponse:
    """Begin one more where as many with decisions are kept as may be."""
    with client.application.app_context():
        session = db.session()
        wanted = screened_job(session, "house", "rent")
        for _ in range(KEPT_SCREENINGS - 2):
            create_screening(session, 1, wanted, "house").state = "done"
            session.commit()
        one = session.query(ScreeningResult).first()
        assert one is not None
        for number in [row.id for row in session.query(Screening.id).where(Screening.id != 7)]:
            values = {"screening_id": number, "document_id": one.document_id, "version": 0, "score": 0.0}
            session.add(ScreeningResult(**values, status="rejected", note=""))
        session.execute(update(ScreeningResult).values(status="rejected"))
        session.commit()
    with client.session_transaction() as cookie:
        cookie["browser"] = 1
    return client.post("/api/screenings", json=JOB)


def own(then: str) -> Call:
    """Begin a screening, and do something to it with the cookie that came."""

    def call(client: FlaskClient) -> TestResponse:
        address = client.post("/api/screenings", json=JOB).json["address"]  # type: ignore[index]
        return client.delete(address) if then == "delete" else client.get("/api/screenings")

    return call


def kept(then: str) -> Call:
    def call(client: FlaskClient) -> TestResponse:
        number = client.post("/api/searches", json=RENT).json["id"]  # type: ignore[index]
        if then == "run":
            return client.post(f"/api/searches/{number}/run", json={})
        return client.delete(f"/api/searches/{number}") if then == "delete" else client.get("/api/searches")

    return call


def full_of_searches(client: FlaskClient) -> TestResponse:
    for number in range(MOST_OF_BROWSER + 1):
        address = {"REMOTE_ADDR": f"10.0.1.{number}"}
        answer = client.post("/api/searches", json={"address": f"/text?q=a{number}"}, environ_overrides=address)
    return answer


OFTEN = "/api/search?q=a"
BAD = {"data": "{", "content_type": "application/json"}
SCREENING_CALLS: dict[tuple[str, int], list[Call]] = {
    ("screenings", 200): [get("/api/screenings"), get("/api/screenings", headers=TOKEN), own("list")],
    ("beginScreening", 202): [
        post("/api/screenings", json=JOB),
        post("/api/screenings", json={"text": "דרושה: זכויות", "jobs": "house", "profiles": "house"}),
    ],
    ("beginScreening", 400): [post("/api/screenings", **BAD)],
    ("beginScreening", 404): [
        post("/api/screenings", json=JOB | {"job_id": "x"}),
        post("/api/screenings", json=JOB | {"profiles": "x"}),
    ],
    ("beginScreening", 409): [full],
    ("beginScreening", 413): [post("/api/screenings", json={"text": "a" * 100_001})],
    ("beginScreening", 415): [post("/api/screenings", data="x")],
    ("beginScreening", 422): [
        post("/api/screenings", json={}),
        post("/api/screenings", json=JOB | {"text": "both"}),
        post("/api/screenings", json={"text": "qqq", "jobs": "house", "profiles": "house"}),
        post("/api/screenings", json={"job_id": 7}),
        post("/api/screenings", json={"job_id": "one", "jobs": "twins"}),
    ],
    ("beginScreening", 429): [too_often(OFTEN, post("/api/screenings", json=JOB))],
    ("screening", 200): [
        get(DONE, headers=TOKEN),
        get(DONE + "?page=2&limit=1&skill=זכויות&status=new&language=he", headers=TOKEN),
        get(RUNS, headers=TOKEN),
    ],
    ("screening", 404): [get(NONE, headers=TOKEN)],
    ("screening", 422): [
        get(DONE + "?page=0", headers=TOKEN),
        get(DONE + "?limit=101", headers=TOKEN),
        get(DONE + "?since=-1", headers=TOKEN),
    ],
    ("screening", 429): [too_often(DONE, get(DONE, headers=TOKEN))],
    ("deleteScreening", 204): [delete(RUNS, headers=TOKEN), own("delete")],
    ("deleteScreening", 404): [delete(NONE, headers=TOKEN)],
    ("runScreening", 202): [post(DONE + "/run", headers=TOKEN)],
    ("runScreening", 404): [post(NONE + "/run", headers=TOKEN)],
    ("runScreening", 409): [post(RUNS + "/run", headers=TOKEN)],
    ("runScreening", 429): [too_often(OFTEN, post(DONE + "/run", headers=TOKEN))],
    ("cancelScreening", 200): [post(RUNS + "/cancel", headers=TOKEN)],
    ("cancelScreening", 404): [post(NONE + "/cancel", headers=TOKEN)],
    ("cancelScreening", 409): [post(DONE + "/cancel", headers=TOKEN)],
    ("decide", 200): [
        put(DONE + "/profiles/union", json=MARK, headers=TOKEN),
        put(DONE + "/profiles/union", json={}, headers=TOKEN),
    ],
    ("decide", 400): [put(DONE + "/profiles/union", **BAD, headers=TOKEN)],
    ("decide", 404): [
        put(DONE + "/profiles/x", json=MARK, headers=TOKEN),
        put(NONE + "/profiles/union", json=MARK, headers=TOKEN),
    ],
    ("decide", 413): [put(DONE + "/profiles/union", json={"note": "a" * 2_001}, headers=TOKEN)],
    ("decide", 415): [put(DONE + "/profiles/union", data="x", headers=TOKEN)],
    ("decide", 422): [
        put(DONE + "/profiles/union", json={"status": "hired"}, headers=TOKEN),
        put(DONE + "/profiles/union", json={"note": 7}, headers=TOKEN),
    ],
    ("decide", 429): [too_often(OFTEN, put(DONE + "/profiles/union", json=MARK, headers=TOKEN))],
    ("decideById", 200): [
        put(DONE + "/profiles?id=union", json=MARK, headers=TOKEN),
        put(DONE + "/profiles?id=union", json={}, headers=TOKEN),
    ],
    ("decideById", 400): [put(DONE + "/profiles?id=union", **BAD, headers=TOKEN)],
    ("decideById", 404): [
        put(DONE + "/profiles?id=x", json=MARK, headers=TOKEN),
        put(NONE + "/profiles?id=union", json=MARK, headers=TOKEN),
    ],
    ("decideById", 413): [put(DONE + "/profiles?id=union", json={"note": "a" * 2_001}, headers=TOKEN)],
    ("decideById", 415): [put(DONE + "/profiles?id=union", data="x", headers=TOKEN)],
    ("decideById", 422): [
        put(DONE + "/profiles?id=union", json={"status": "hired"}, headers=TOKEN),
        put(DONE + "/profiles?id=union", json={"note": 7}, headers=TOKEN),
    ],
    ("decideById", 429): [too_often(OFTEN, put(DONE + "/profiles?id=union", json=MARK, headers=TOKEN))],
    ("exportScreening", 200): [
        get(DONE + "/export", headers=TOKEN),
        get(DONE + "/export?format=csv", headers=TOKEN),
        get(RUNS + "/export", headers=TOKEN),
    ],
    ("exportScreening", 404): [get(NONE + "/export", headers=TOKEN)],
    ("exportScreening", 422): [get(DONE + "/export?format=pdf", headers=TOKEN)],
    ("exportScreening", 429): [too_often(OFTEN, get(DONE + "/export", headers=TOKEN))],
    ("keptSearches", 200): [get("/api/searches"), kept("list")],
    ("keptSearches", 429): [too_often("/api/searches")],
    ("keepSearch", 201): [post("/api/searches", json=RENT | {"name": "דירות"}), post("/api/searches", json=RENT)],
    ("keepSearch", 400): [post("/api/searches", **BAD)],
    ("keepSearch", 409): [full_of_searches],
    ("keepSearch", 415): [post("/api/searches", data="x")],
    ("keepSearch", 422): [
        post("/api/searches", json={"address": "https://example.com/?q=a"}),
        post("/api/searches", json={"address": "/"}),
        post("/api/searches", json=RENT | {"name": "a" * 101}),
        post("/api/searches", json={"address": 7}),
    ],
    ("keepSearch", 429): [too_often(OFTEN, post("/api/searches", json=RENT))],
    ("dropSearch", 204): [kept("delete")],
    ("dropSearch", 404): [delete("/api/searches/7")],
    ("runSearch", 200): [kept("run")],
    ("runSearch", 400): [post("/api/searches/7/run", **BAD)],
    ("runSearch", 404): [post("/api/searches/7/run", json={})],
    ("runSearch", 415): [post("/api/searches/7/run", data="x")],
    ("runSearch", 429): [too_often(OFTEN, post("/api/searches/7/run", json={}))],
}


def with_cookie(then: Call) -> Call:
    """Ask as a browser that keeps something: another's asks the database for nothing."""

    def call(client: FlaskClient) -> TestResponse:
        with client.session_transaction() as session:
            session["browser"] = 1
        return then(client)

    return call


WITHOUT_SCREENINGS: dict[str, Call] = {
    "screenings": get("/api/screenings", headers=TOKEN),
    "beginScreening": post("/api/screenings", json=JOB),
    "screening": get(DONE, headers=TOKEN),
    "deleteScreening": delete(DONE, headers=TOKEN),
    "runScreening": post(DONE + "/run", headers=TOKEN),
    "cancelScreening": post(DONE + "/cancel", headers=TOKEN),
    "decide": put(DONE + "/profiles/union", json=MARK, headers=TOKEN),
    "decideById": put(DONE + "/profiles?id=union", json=MARK, headers=TOKEN),
    "exportScreening": get(DONE + "/export", headers=TOKEN),
    "keptSearches": with_cookie(get("/api/searches")),
    "keepSearch": with_cookie(post("/api/searches", json=RENT)),
    "dropSearch": with_cookie(delete("/api/searches/7")),
    "runSearch": with_cookie(post("/api/searches/7/run", json={})),
}
