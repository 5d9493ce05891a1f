"""A skill is known however it is written, and what is said about it is understood."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from matching.aliases import OWN, Aliases, aliases
from matching.skills import is_optional, skill, skills, split_skills

NONE = Aliases()


@pytest.mark.parametrize(
    "written",
    [
        "Python", "PYTHON", "  python ", "python 3", "Python 3.11", "Python v3", "Python (primary)",
        "Python (senior, 5 years)",
        "Python [expert]", "Python (3)", "Python - 5 years", "Python – advanced", "Python, nice to have",
        "Python: 3+ years",
        "Python 5+ years", "5 years of Python", "3-5 years experience with Python", "Python (a plus)", "Python - יתרון",
        "Python (חובה) - 3 שנים", "Python\u200f", "• Python",
    ],
)  # fmt: skip
def test_spellings_of_one_skill_meet(written: str) -> None:
    assert skill(written, NONE).key == "python"


@pytest.mark.parametrize(
    "written",
    ["ניהול צוות", "ניהול צוות - 3 שנים", "ניהול־צוות (בכיר)", "נִיהוּל צוות", "ניהול צוות, יתרון",
     "3 שנות ניסיון בניהול צוות"],
)  # fmt: skip
def test_hebrew_spellings_of_one_skill_meet(written: str) -> None:
    assert skill(written, NONE).key == skill("ניהול צוות", NONE).key


@pytest.mark.parametrize(
    ("one", "other"),
    [("C", "C++"), ("C", "C#"), ("Java", "JavaScript"), ("ISO 9001", "ISO 14001"), ("primary education", "education"),
     ("C (programming)", "C (music)"), ("basic hygiene", "hygiene"), ("בישול", "ניהול"), ("nursing", "senior nursing")],
)  # fmt: skip
def test_other_skills_stay_apart(one: str, other: str) -> None:
    assert skill(one, NONE).key != skill(other, NONE).key


@pytest.mark.parametrize(
    ("written", "years"),
    [("Python (senior, 5 years)", 5), ("ניהול צוות - 3 שנים", 3), ("SQL 2.5 yrs", 2.5), ("אנגלית (שנתיים)", 2),
     ("3-5 years of Java", 3), ("Java - at least 10+ years", 10), ("Java", 0), ("Python 3", 0)],
)  # fmt: skip
def test_years_are_read(written: str, years: float) -> None:
    assert skill(written, NONE).years == years


@pytest.mark.parametrize(
    ("written", "level"),
    [
        ("Python (senior, 5 years)", "senior"),
        ("English - fluent", "fluent"),
        ("אנגלית (שפת אם)", "שפת אם"),
        ("Python", ""),
    ],
)
def test_levels_are_read(written: str, level: str) -> None:
    assert skill(written, NONE).level == level


@pytest.mark.parametrize(
    ("written", "required"),
    [("Python", True), ("Python (nice to have)", False), ("Python - an advantage", False), ("אקסל - יתרון", False),
     ("Python (optional)", False), ("Python (required)", True), ("אקסל (חובה)", True), ("plus size fashion", True)],
)  # fmt: skip
def test_what_is_nice_to_have_weighs_less(written: str, required: bool) -> None:
    assert skill(written, NONE).required is required
    assert is_optional(written) is not required


@pytest.mark.parametrize(
    "text", ["", "  ", "()", "--", "••", "5 years", "senior", "((((", "a" * 5_000, "3" * 300, "\ud800"]
)
def test_any_text_can_be_asked(text: str) -> None:
    assert len(skills([text], NONE)) <= 1
    assert len(split_skills(text)) <= 1


def test_a_list_is_parted_by_lines_and_commas_and_a_level_stays_with_its_skill() -> None:
    text = "Python (senior, 5 years), SQL\nניהול צוות, 3 שנים; אנגלית\n• Excel"
    assert split_skills(text) == ["Python (senior, 5 years)", "SQL", "ניהול צוות, 3 שנים", "אנגלית", "Excel"]


@pytest.mark.parametrize(
    "text", ["," * 100_000, "a, 5" + " " * 100_000 + "x", "(" * 100_000, "a,(" * 30_000, "1 " * 50_000]
)
def test_a_list_of_any_length_is_parted_at_once(text: str) -> None:
    assert len(split_skills(text)) <= 50_000


def test_a_skill_is_named_once() -> None:
    assert [one.key for one in skills(["Python", "python 3", "SQL", "PYTHON (senior)"], NONE)] == ["python", "sql"]


@pytest.mark.parametrize(
    ("written", "key"), [("JS", "javascript"), ("K8s (senior)", "kubernetes"), ('הנה"ח', "הנהלת חשבונות")]
)
def test_aliases_stand_for_their_skill(written: str, key: str) -> None:
    found = aliases()
    assert skill(written, found).key == skill(key, found).key


def test_a_site_extends_and_changes_the_aliases(tmp_path: Path) -> None:
    mine = tmp_path / "skill-aliases.csv"
    assert skill("wp", aliases(mine)).key == "wp"
    mine.write_text("alias,skill\nwp,wordpress\njs,jscript\nא,ב\nב,א\nonly one\n", encoding="utf-8-sig")
    assert skill("WP", aliases(mine)).key == "wordpress"
    assert skill("js", aliases(mine)).key == "jscript"
    assert aliases(mine).key("א") == aliases(mine).key("ב")
    mine.write_text("wp,web publishing\n", encoding="utf-8")
    os.utime(mine, (1, 1))
    assert skill("WP", aliases(mine)).key == "web publishing"


def test_the_projects_file_is_two_columns_without_a_repeated_name() -> None:
    rows = [line.split(",") for line in OWN.read_text(encoding="utf-8").splitlines()]
    assert {len(row) for row in rows} == {2}
    assert len({row[0] for row in rows}) == len(rows)
