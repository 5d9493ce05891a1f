"""An endpoint that is asked for embeddings: what it may answer, how long it may take, and when it is left alone."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from encoders.endpoint import (
    PATIENT,
    QUICK,
    Endpoint,
    EndpointFailed,
    HttpClient,
    RequestTimeouts,
    embeddings_url,
    models_url,
)
from encoders.queue import EncoderBusy
from tests.endpoints import Endpoints, Reply, Told, as_json, endpoint, good, openai, rows_of
from tests.waiting import until
from utils.circuit_breaker import CircuitBreaker

SHORT = RequestTimeouts(timeout_s=0.3, whole_s=0.5, retries=1, longest_pause_s=1.0)
ROW = [3.0, 4.0]


def in_turn(*replies: Reply) -> Callable[[Told], Reply]:
    """Return what gives each reply once, and the good answer ever after."""
    left = list(replies)
    return lambda told: left.pop(0) if left else good(told)


def asked(served: Endpoints, pauses: list[float], **more: object) -> Endpoint:
    return Endpoint(served.url, client=HttpClient(sleep=pauses.append), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("given", ["http://host", "http://host/", "http://host/v1", "http://host/v1/embeddings/"])
def test_a_server_or_its_v1_is_enough_of_an_address(given: str) -> None:
    assert embeddings_url(given) == "http://host/v1/embeddings"
    assert models_url(embeddings_url(given)) == "http://host/v1/models"


def test_any_other_path_is_taken_as_it_is() -> None:
    assert embeddings_url("https://host/x/embeddings?api-version=3") == "https://host/x/embeddings?api-version=3"
    assert embeddings_url("http://host/embed") == "http://host/embed"
    assert models_url("http://host/embed") == "http://host/v1/models"


def test_embeddings_come_in_the_order_of_the_texts_and_have_length_1() -> None:
    def backwards(told: Told) -> Reply:
        data = [{"index": place, "embedding": [place + 1.0, 0.0]} for place, _ in enumerate(told.body["input"])]
        return as_json({"data": [{"index": 9, "embedding": [9.0, 9.0]}, *data][:0:-1]})

    def distinct(told: Told) -> Reply:
        data = [{"index": place, "embedding": [1.0, float(text)]} for place, text in enumerate(told.body["input"])]
        return as_json({"data": data[::-1]})

    with endpoint(backwards) as served:
        assert asked(served, []).embed(["a", "b"], None, SHORT).tolist() == [[1.0, 0.0], [1.0, 0.0]]
        served.answer = distinct
        found = asked(served, [], batch_size=3).embed([str(number) for number in range(8)], 2, SHORT)
        assert [len(told.body["input"]) for told in served.asked] == [2, 3, 3, 2]
    assert np.allclose(found[:, 1] / found[:, 0], range(8))
    assert np.allclose(np.linalg.norm(found, axis=1), 1.0)
    assert found.dtype == np.float32


def test_the_native_shape_of_text_embeddings_inference_is_spoken_at_embed() -> None:
    with endpoint(lambda told: as_json(rows_of(told.body["inputs"]))) as served:
        found = Endpoint(f"{served.url}/embed").embed(["לחם", "bread"], 64, SHORT)
        assert served.asked[0].path == "/embed"
        assert served.asked[0].body == {"inputs": ["לחם", "bread"], "normalize": True, "truncate": True}
    assert np.allclose(found, rows_of(["לחם", "bread"]), atol=1e-6)


NOT_ONE_EACH = "does not answer with one embedding a text; look at EMBEDDINGS_URL"
NO_NUMBERS = "gives embeddings that are no numbers"


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (Reply(b"<html><title>Welcome</title></html>"), "answers no JSON but '<html>"),
        (Reply(b""), "answers no JSON"),
        (Reply(b"[" * 100_000), "answers no JSON"),
        (as_json({"hello": "world"}), NOT_ONE_EACH),
        (as_json([ROW]), NOT_ONE_EACH),
        (as_json({"data": [{"embedding": ROW}]}), NOT_ONE_EACH),
        (as_json({"data": [{"index": 0, "embedding": ROW}] * 2}), NOT_ONE_EACH),
        (openai([ROW]), NOT_ONE_EACH),
        (openai([ROW, ROW, ROW]), NOT_ONE_EACH),
        (openai([ROW, [1.0]]), NOT_ONE_EACH),
        (openai([[], []]), NOT_ONE_EACH),
        (openai([["a", "b"], ROW]), NOT_ONE_EACH),
        (openai([[{}, {}], ROW]), NOT_ONE_EACH),
        (openai([[float("nan"), 1.0], ROW]), NO_NUMBERS),
        (openai([[None, 1.0], ROW]), NO_NUMBERS),
        (openai([[float("inf"), 1.0], ROW]), NO_NUMBERS),
        (openai([[1e300, 1e300], ROW]), NO_NUMBERS),
        (openai([[0.0, 0.0], ROW]), NO_NUMBERS),
        (openai([[1.0, 2.0, 3.0]] * 2), "gives embeddings 3 wide, and those stored are 2 wide"),
        (Reply(b" " * 2_000_000), "answers with more than"),
        (Reply(json.dumps({"data": []}).encode(), cut=5), "does not answer: ProtocolError"),
        (as_json({"error": "no"}, 401), "refuses the key (401); look at EMBEDDINGS_API_KEY"),
        (as_json({}, 301, Location="http://127.0.0.1:1/"), "answers 301"),
        (as_json({"error": "no such model"}, 404), "no such model"),
    ],
)
def test_an_answer_without_embeddings_is_refused_in_a_sentence(reply: Reply, said: str) -> None:
    with endpoint(lambda _: reply) as served, pytest.raises(EndpointFailed) as caught:
        asked(served, []).embed(["a", "b"], 2, SHORT)
    assert said in str(caught.value)
    assert "look at" in str(caught.value)


def test_the_key_goes_along_and_into_no_message() -> None:
    with endpoint(lambda _: as_json({}, 403)) as served:
        with pytest.raises(EndpointFailed) as caught:
            Endpoint(served.url, api_key="very-secret").embed(["a"], None, SHORT)
        assert served.asked[0].headers["Authorization"] == "Bearer very-secret"
    assert "very-secret" not in str(caught.value)


def test_half_a_letter_is_sent_as_something_that_any_server_reads() -> None:
    with endpoint() as served:
        assert Endpoint(served.url).embed(["\ud800 מים"], 64, SHORT).shape == (1, 64)
        assert served.texts == ["? מים"]


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_fault_that_passes_is_tried_again(status: int) -> None:
    pauses: list[float] = []
    with endpoint(in_turn(as_json({}, status))) as served:
        assert asked(served, pauses).embed(["a"], 64, SHORT).shape == (1, 64)
    assert pauses == [0.2]


def test_a_lost_connection_is_tried_again() -> None:
    with endpoint(in_turn(Reply(b"{}" * 50, cut=20))) as served:
        assert asked(served, []).embed(["a"], 64, SHORT).shape == (1, 64)


def test_the_pause_that_a_server_asks_for_is_kept() -> None:
    pauses: list[float] = []
    patience = RequestTimeouts(timeout_s=5, whole_s=5, retries=1, longest_pause_s=1.0)
    with endpoint(in_turn(as_json({}, 429, Retry_After="1"))) as served:
        assert asked(served, pauses).embed(["a"], 64, patience).shape == (1, 64)
    assert pauses == [1.0]


def test_a_pause_longer_than_a_search_may_last_is_not_waited_for() -> None:
    pauses: list[float] = []
    with endpoint(lambda _: as_json({}, 429, Retry_After="30")) as served:
        with pytest.raises(EndpointFailed, match="answers 429"):
            asked(served, pauses).embed(["a"], 64, QUICK)
        assert len(served.asked) == 1
    assert pauses == []


def test_embedding_many_has_more_patience_than_a_search() -> None:
    pauses: list[float] = []
    replies = [as_json({}, 503)] * 3 + [as_json({}, 429, Retry_After="20")]
    with endpoint(in_turn(*replies)) as served:
        assert asked(served, pauses).embed(["a"], 64, PATIENT).shape == (1, 64)
    assert pauses == [0.2, 0.4, 0.8, 20.0]


@pytest.mark.parametrize("slow", [{"held": threading.Event()}, {"slowly": 0.05}], ids=["silent", "byte by byte"])
def test_an_answer_that_does_not_come_is_not_waited_for(slow: dict) -> None:
    with endpoint(lambda _: Reply(openai([ROW]).content, **slow)) as served:
        began = time.monotonic()
        with pytest.raises(EndpointFailed, match="it takes too long"):
            Endpoint(served.url).embed(["a"], 2, SHORT)
        assert time.monotonic() - began < 2 * SHORT.whole_s
        if held := slow.get("held"):
            held.set()


def test_nobody_there_is_told_at_once() -> None:
    with endpoint() as served:
        pass
    with pytest.raises(EndpointFailed, match="no connection; look at EMBEDDINGS_URL"):
        Endpoint(served.url).embed(["a"], 2, SHORT)
    with pytest.raises(EndpointFailed, match="no such host"):
        Endpoint("http://nobody.invalid").embed(["a"], 2, SHORT)


def test_a_server_that_keeps_failing_is_left_alone_and_asked_again_after_a_rest() -> None:
    now = [0.0]
    with endpoint(lambda _: as_json({}, 500)) as served:
        found = asked(served, [], breaker=CircuitBreaker(clock=lambda: now[0]))
        for _ in range(3):
            with pytest.raises(EndpointFailed, match="answers 500"):
                found.embed(["a"], 64, SHORT)
        before = len(served.asked)
        for _ in range(10):
            with pytest.raises(EndpointFailed, match=r"answers 500 .* it is left alone for 8 s"):
                found.embed(["a"], 64, SHORT)
        assert len(served.asked) == before
        served.answer = good
        now[0] = 30.0
        assert found.embed(["a"], 64, SHORT).shape == (1, 64)
        assert found.embed(["a"], 64, SHORT).shape == (1, 64)


def test_a_text_that_is_refused_does_not_close_the_endpoint_to_others() -> None:
    with endpoint(lambda told: as_json({}, 400) if told.body["input"] == ["bad"] else good(told)) as served:
        found = asked(served, [])
        for _ in range(10):
            with pytest.raises(EndpointFailed, match="answers 400"):
                found.embed(["bad"], 64, SHORT)
        assert found.embed(["good"], 64, SHORT).shape == (1, 64)


def test_two_searches_wait_and_the_others_go_on_without() -> None:
    go_on = threading.Event()
    with endpoint(lambda told: Reply(good(told).content, held=go_on)) as served, ThreadPoolExecutor(2) as two:
        found = Endpoint(served.url)
        waiting = [two.submit(found.embed, ["a"], 64, QUICK) for _ in range(2)]
        until(lambda: len(served.asked) == 2, "two wait")
        began = time.monotonic()
        with pytest.raises(EncoderBusy, match=r"busy for 0.25 s"):
            found.embed(["a"], 64, QUICK)
        assert time.monotonic() - began < 1.5
        go_on.set()
        assert [one.result().shape for one in waiting] == [(1, 64), (1, 64)]
        assert found.embed(["a"], 64, QUICK).shape == (1, 64)


def test_many_searches_at_a_good_endpoint_all_find_a_place() -> None:
    with endpoint() as served, ThreadPoolExecutor(4) as clients:
        found = Endpoint(served.url)
        shapes = list(clients.map(lambda number: found.embed([str(number)], 64, QUICK).shape, range(100)))
    assert shapes == [(1, 64)] * 100


def test_a_host_that_serves_another_model_by_now_is_refused() -> None:
    with endpoint(lambda told: openai(rows_of(told.body["input"]), checksum="b")) as served:
        found = Endpoint(served.url)
        assert found.embed(["a"], 64, SHORT).shape == (1, 64)
        found.checksum = "a"
        with pytest.raises(EndpointFailed, match="serves another model by now; restart this site"):
            found.embed(["a"], 64, SHORT)


def test_the_models_of_a_server_are_what_it_says_and_nothing_where_it_has_no_such_page() -> None:
    with endpoint(lambda _: as_json({"data": []})) as served:
        found = Endpoint(served.url)
        assert found.models() == {"data": []}
        served.answer = in_turn(as_json({}, 404), as_json({}, 405), Reply(b"<html>"))
        assert [found.models() for _ in range(3)] == [None, None, None]


@pytest.mark.parametrize("status", [401, 500])
def test_a_server_that_cannot_answer_is_not_taken_for_one_without_models(status: int) -> None:
    with endpoint(lambda _: as_json({}, status)) as served, pytest.raises(EndpointFailed):
        asked(served, []).models()
