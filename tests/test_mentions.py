"""Skills that a text names: by their name, aliases, behind prefixes, in the plural; and words that are none."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy.orm import Session

from config import ROOT
from indexing.documents import NewDocument, write_documents
from matching.aliases import aliases
from matching.mentions import mentions
from matching.skills import skill, skill_name

KNOWN = aliases()


def named(session: Session, tags: tuple[str, ...], text: str) -> list[str]:
    write_documents(session, "jobs", [NewDocument(str(place), "job", "", (tag,)) for place, tag in enumerate(tags)])
    return [mention.skill for mention in mentions(session, "jobs", text, 50, KNOWN)]


@pytest.mark.parametrize(
    ("tag", "text", "skill"),
    [
        ("Python (2 years)", "I know Python", "Python"),
        ("GIS (optional)", "Worked with GIS data", "GIS"),
        ("ניהול צוות - 3 שנים", "יש לי ניסיון בניהול צוות", "ניהול צוות"),
        ("React.js", "Built sites with React", "React.js"),
        ("Postgres", "Knows PostgreSQL well", "Postgres"),
        ("javascript", "wrote JS and HTML", "javascript"),
        ("הנה״ח", "עסקתי בהנהלת חשבונות", "הנה״ח"),
        ("HR", "worked in human resources", "HR"),
        ("human resources", "An HR assistant", "human resources"),
        (".NET", "I know .NET well", ".NET"),
        ("C#", "Wrote C# and more", "C#"),
        ("C++", "C++!", "C++"),
        ("CI/CD", "set up CI/CD for a team", "CI/CD"),
        ("UI/UX", "UI / UX", "UI/UX"),
        ("R&D", "led R&D at a start-up", "R&D"),
        ("Node.js", "services in Node.js.", "Node.js"),
        ("full-stack development", "did full stack development", "full-stack development"),
        ("database", "designed databases", "database"),
        ("relational databases", "a relational database", "relational databases"),
        ("מערכת מידע", "הקמתי מערכות מידע", "מערכת מידע"),
        ("מנהל פרויקטים", "שני מנהלי פרויקטים", "מנהל פרויקטים"),
        ("מכירה", "עסק במכירות", "מכירה"),
        ("פייתון", "כתבתי בפייתון", "פייתון"),
        ("מש״א", 'רכזת במש"א', "מש״א"),
    ],
)
def test_a_skill_is_named(session: Session, tag: str, text: str, skill: str) -> None:
    assert named(session, (tag,), text) == [skill]


@pytest.mark.parametrize(
    ("tag", "text"),
    [
        ("IT", "I do it well and like it"),
        ("IT", "DO IT NOW, PLEASE, AND TELL EVERYBODY"),
        ("Go", "He can go far"),
        ("Go", "Go ahead. Go on"),
        ("go", "They let it go"),
        ("HR", "40 hr a week"),
        ("C", "vitamin C every day"),
        ("C", "vitamins B, C and D"),
        ("R", "Mr. R was here"),
        (".NET", "net income of the year"),
        ("C#", "plan C was better"),
        ("Sales", "a house for sale"),
        ("שירה", "נתתי שירות"),
        ("מש״א", "ניהל משא ומתן"),
        ("Python", "I have no experience with Python"),
        ("Java", "No knowledge of Python, SQL or Java."),
        ("Python", "I don't know Python yet"),
        ("Python", "never used Python"),
        ("פייתון", "ללא ניסיון בפייתון"),
        ("פייתון", "אין לי ידע בפייתון"),
    ],
)
def test_a_word_is_no_skill(session: Session, tag: str, text: str) -> None:
    assert named(session, (tag,), text) == []


@pytest.mark.parametrize(
    ("tags", "text", "skills"),
    [
        (("IT", "Go"), "An IT manager who writes Go", ["IT", "Go"]),
        (("C", "R", "Python"), "Skills: C, R, Python", ["C", "R", "Python"]),
        (("C", "R", "Python"), "Python\nR\nC", ["Python", "R", "C"]),
        (("C",), "Programming in C", ["C"]),
        (("R",), "the R language", ["R"]),
        (("C",), "תכנות בשפת C", ["C"]),
        (("Go", "Rust"), "Go, Rust", ["Go", "Rust"]),
        (("Python", "Java"), "No experience with Python, but I know Java", ["Java"]),
        (("Python", "Java"), "No experience with Python. I know Java", ["Java"]),
        (("ניהול צוות", "פייתון"), "ללא ניסיון בפייתון אבל עם ניהול צוות", ["ניהול צוות"]),
        (("Python",), "not only Python", ["Python"]),
    ],
)
def test_evidence_and_clauses_decide(session: Session, tags: tuple[str, ...], text: str, skills: list[str]) -> None:
    assert named(session, tags, text) == skills


@pytest.mark.parametrize(
    ("text", "skill"),
    [
        ("Five years of Python", "Python (5 years)"),
        ("5+ years of experience in Python", "Python (5 years)"),
        ("I used Python for 3 years.", "Python (3 years)"),
        ("Python (senior)", "Python (senior)"),
        ("Advanced Python, SQL", "Python (advanced)"),
        ("SQL, 5 years; Python", "Python"),
        ("SQL (senior), Python", "Python"),
        ("Python, 5 years of Java", "Python"),
        ("A 5 year old child learns Python", "Python"),
    ],
)
def test_years_and_level_are_those_beside_it(session: Session, text: str, skill: str) -> None:
    assert named(session, ("Python",), text) == [skill]


def test_hebrew_years(session: Session) -> None:
    assert named(session, ("פייתון",), "ניסיון של 5 שנים בפייתון") == ["פייתון (5 שנים)"]
    assert named(session, ("פייתון",), "שנתיים פייתון") == ["פייתון (2 שנים)"]


def test_the_tag_in_the_text_s_own_language_comes_before_an_alias_in_another(session: Session) -> None:
    tags = ("גיוס משאבים", "fundraising", "Postgres", "PostgreSQL")
    assert named(session, tags, "fundraising, PostgreSQL") == ["fundraising", "PostgreSQL"]
    assert named(session, tags, "ניסיון בגיוס משאבים") == ["גיוס משאבים"]


def test_a_skill_is_named_once_with_what_is_said_of_it(session: Session) -> None:
    assert named(session, ("Python",), "Python. And ten years of Python") == ["Python (10 years)"]


@pytest.mark.parametrize("is_held_out", [False, True])
def test_short_cvs_name_their_skills_and_hardly_any_other(session: Session, is_held_out: bool) -> None:
    """Every third text was kept apart while the rules were made."""
    sample = json.loads((ROOT / "data" / "skill-mentions.json").read_text(encoding="utf-8"))
    write_documents(session, "jobs", [NewDocument(str(n), "job", "", (tag,)) for n, tag in enumerate(sample["tags"])])
    right = named = wanted = 0
    for place, row in enumerate(sample["texts"]):
        if (place % 3 == 2) == is_held_out:
            truth = {skill(name, KNOWN).key for name in row["skills"]}
            found = {skill(mention.skill, KNOWN).key for mention in mentions(session, "jobs", row["text"], 50, KNOWN)}
            right, named, wanted = right + len(truth & found), named + len(found), wanted + len(truth)
    assert right / named >= 0.95
    assert right / wanted >= 0.90


def rows_of(*names: str) -> list[dict[str, Any]]:
    files = (ROOT / "data" / f"sample-{name}.jsonl" for name in names)
    return [json.loads(line) for file in files for line in file.read_text(encoding="utf-8").splitlines()]


def test_prose_that_is_no_cv_names_hardly_any_skill(session: Session) -> None:
    languages = {"English", "Hebrew", "Arabic", "אנגלית", "עברית", "ערבית"}  # of which the texts do speak
    tags = {tag for row in rows_of("jobs", "profiles") for tag in row["skills"] if skill_name(tag) not in languages}
    write_documents(session, "jobs", [NewDocument(str(n), "job", "", (tag,)) for n, tag in enumerate(sorted(tags))])
    texts = [f"{row['title']}\n{row['body']}" for row in rows_of("he", "en")]
    assert sum(len(mentions(session, "jobs", text, 50, KNOWN)) for text in texts) <= 0.1 * len(texts)
