"""References in BibTeX and RIS: what each becomes, and what is refused."""

from __future__ import annotations

from pathlib import Path

from indexing.layout import Options
from indexing.previews import Preview, preview

BIBTEX = r"""
% a comment
@string{jacm = "Journal of the ACM"}
@comment{nothing}
@article{levi99,
  title = {The {Sea} of {\"U}nits \& more},
  author = {L\'evi, Dana and Smith, John},
  journal = jacm # { (old)},
  year = 1999, keywords = {sea, water; units},
  abstract = "About {"}sea{"} -- and more",
  url = {https://a.example/1}
}
@Book(agnon,
  title = {שירה}, author = "ש{\"}י עגנון", language = {he}
)
@misc{broken, title = {no end
@misc{last, title={Last one}}
"""
RIS = """TY  - JOUR
ID  - 7
TI  - On water
AU  - Levi, Dana
AU  - Smith, John
AB  - First line
 and a second
KW  - sea
KW  - מים
UR  - https://a.example/2
PY  - 2001
ER  -

TY  - BOOK
T1  - Second
"""


def shown(folder: Path, name: str, content: str) -> Preview:
    path = folder / name
    path.write_text(content, encoding="utf-8")
    return preview(path, Options())


def test_bibtex_is_read_with_its_strings_accents_and_braces(tmp_path: Path) -> None:
    found = shown(tmp_path, "a.bib", BIBTEX)
    first, second, last = found.documents
    assert (first.own_id, first.title) == ("levi99", "The Sea of Ünits & more")
    assert (first.body, first.tags) == ('About "sea" – and more', ("sea", "water", "units"))
    assert first.url == "https://a.example/1"
    assert first.extra == {
        "type": "article", "author": "Lévi, Dana; Smith, John", "journal": "Journal of the ACM (old)", "year": "1999",
    }  # fmt: skip
    assert (second.own_id, second.title, second.language) == ("agnon", "שירה", "he")
    assert second.extra["author"] == 'ש"י עגנון'
    assert last.title == "Last one"
    assert [(row.line, row.reason) for row in found.refused] == [
        (16, "a brace that is opened here is not closed: close it")
    ]


def test_ris_is_read_with_its_repeated_tags(tmp_path: Path) -> None:
    first, second = shown(tmp_path, "a.ris", RIS).documents
    assert (first.own_id, first.title, first.body) == ("7", "On water", "First line\nand a second")
    assert (first.tags, first.url) == (("sea", "מים"), "https://a.example/2")
    assert first.extra == {"type": "JOUR", "author": ["Levi, Dana", "Smith, John"], "year": "2001"}
    assert second.title == "Second"
