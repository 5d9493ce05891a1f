"""Bookmarks of browsers, linkding, Karakeep and Pocket: titles, notes, folders, tags and dates."""

from __future__ import annotations

from pathlib import Path

from indexing.documents import NewDocument
from indexing.layout import Options
from indexing.previews import Preview, preview

FIREFOX = """<!DOCTYPE NETSCAPE-Bookmark-file-1>
<META HTTP-EQUIV="Content-Type" CONTENT="text/html; charset=UTF-8">
<TITLE>Bookmarks</TITLE>
<H1>Bookmarks Menu</H1>
<DL><p>
    <DT><H3 ADD_DATE="1714550000" PERSONAL_TOOLBAR_FOLDER="true">Bookmarks Toolbar</H3>
    <DL><p>
        <DT><A HREF="https://a.example/1" ADD_DATE="1714550000" TAGS="ים,קיץ">הים &amp; החוף</A>
        <DD>הערה על הים
        <DT><H3>מתכונים</H3>
        <DL><p>
            <DT><A HREF="https://a.example/2">Bread</A>
            <DT><A HREF="javascript:alert(1)">script</A>
        </DL><p>
        <DT><A HREF="https://a.example/3"></A>
    </DL><p>
</DL>
"""
POCKET = """<!DOCTYPE html><html><head><title>Pocket Export</title></head><body><h1>Unread</h1><ul>
<li><a href="https://b.example/1" time_added="1714550000" tags="food,bread">On bread</a></li></ul>
<h1>Read Archive</h1><ul><li><a href="https://b.example/2" time_added="1" tags="">Old</a></li></ul></body></html>
"""


def shown(folder: Path, content: str, options: Options | None = None) -> Preview:
    path = folder / "bookmarks.html"
    path.write_text(content, encoding="utf-8")
    return preview(path, options or Options(), most=20)


def by_address(found: Preview) -> dict[str, NewDocument]:
    return {document.url: document for document in found.documents}


def test_bookmarks_have_notes_tags_folders_and_dates(tmp_path: Path) -> None:
    found = shown(tmp_path, FIREFOX)
    one = by_address(found)["https://a.example/1"]
    assert (one.title, one.body, one.tags) == ("הים & החוף", "הערה על הים", ("ים", "קיץ"))
    assert one.extra == {"added": "2024-05-01"}
    two = by_address(found)["https://a.example/2"]
    assert (two.title, two.tags, two.extra) == ("Bread", (), {"folder": "מתכונים"})
    assert by_address(found)["https://a.example/3"].title == "https://a.example/3"
    assert [row.reason for row in found.refused] == ["not an address of the web: left out"]


def test_folders_of_bookmarks_are_tags_if_that_is_asked_for(tmp_path: Path) -> None:
    found = by_address(shown(tmp_path, FIREFOX, Options(folder_tags=True)))
    assert found["https://a.example/2"].tags == ("מתכונים",)
    assert found["https://a.example/1"].tags == ("ים", "קיץ")


def test_an_export_of_pocket_is_bookmarks(tmp_path: Path) -> None:
    found = by_address(shown(tmp_path, POCKET))
    assert (found["https://b.example/1"].title, found["https://b.example/1"].tags) == ("On bread", ("food", "bread"))
    assert found["https://b.example/2"].title == "Old"


def test_one_address_in_two_folders_is_two_documents(tmp_path: Path) -> None:
    two = FIREFOX.replace("https://a.example/3", "https://a.example/2")
    found = shown(tmp_path, two)
    assert len(found.documents) == 3
