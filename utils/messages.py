"""The messages of refused requests: one table for pages, API and commands."""

from __future__ import annotations

from typing import Any


def N_(message: str) -> str:  # noqa: N802 - the name by which pybabel finds a message to translate
    return message


# A key is the code that API clients see, and after a dot the case of it.
MESSAGES = {
    "address": N_("This search is too long to save: shorten it."),
    "ambiguous": N_("Several jobs have the title '%(title)s': choose one."),
    "archive.entries": N_("The archive has more than %(most)s files: import it in parts."),
    "archive.password": N_("The archive is locked with a password: unpack it, and send it without one."),
    "archive.ratio": N_("'%(name)s' in the archive is packed more than %(most)s to 1: leave it out, or unpack it."),
    "archive.size": N_("The archive has more than %(most)s GB when unpacked: import it in parts."),
    "bad_document.address": N_("not an address of the web: left out"),
    "bad_document.braces": N_("a brace that is opened here is not closed: close it"),
    "bad_document.bytes": N_(
        "a character that is not %(encoding)s, the encoding of the file: save it as UTF-8, or say which encoding it has"
    ),
    "bad_document.cells": N_(
        "%(count)s columns, and the header has %(expected)s: put quotes around a cell that has the separator in it"
    ),
    "bad_document.csv": N_("a cell of over 4 MB: close the quote that opens here, or split the text"),
    "bad_document.empty": N_("neither a title nor a body: fill in one of them"),
    "bad_document.file": N_("the file cannot be read: %(reason)s"),
    "bad_document.file_size": N_("a file of over %(most)s MB: split it"),
    "bad_document.id": N_("the id is longer than %(most)s characters: shorten it, or choose another column as the id"),
    "bad_document.json": N_("not JSON: %(reason)s"),
    "bad_document.json_rest": N_("not JSON from here on: %(reason)s"),
    "bad_document.kind": N_("not a kind of file that is read: left out"),
    "bad_document.line": N_("a line of over 4 MB: split the document"),
    "bad_document.memory": N_("reading it takes too much memory: split it"),
    "bad_document.nested": N_("nested deeper than %(most)s levels: leave the inner ones out"),
    "bad_document.object": N_("not a JSON object: a document is written {\"title\": …}"),
    "bad_document.other_site": N_("a page of another site: left out"),
    "bad_document.pages": N_("more than %(most)s pages: split it"),
    "bad_document.password": N_("locked with a password: save a copy without one"),
    "bad_document.scan": N_("no text in it, only pictures: have its text recognised (OCR) first"),
    "bad_document.tag": N_("a tag is longer than %(most)s characters: say what separates the tags, or shorten it"),
    "bad_document.tags": N_("more than %(most)s tags: keep the most important ones"),
    "bad_document.text": N_("over 1 MB of text: split it into several documents"),
    "bad_document.time": N_("reading it takes more than %(most)s seconds: split it"),
    "bad_document.web_pages": N_("more than %(most)s pages: the rest is left out"),
    "bad_document.values": N_("more than %(most)s values: leave some out"),
    "damaged": N_("The file is damaged, or is not what its name says: %(reason)s."),
    "disk_full": N_("The disk is full: free some space, or send a smaller file."),
    "empty": N_("The file is empty."),
    "encoding": N_("There is no encoding '%(encoding)s': write utf-8, utf-16, cp1255, cp1251 or cp1252."),
    "extraction": N_("The file could not be read to its end: %(reason)s."),
    "full": N_("There is no room for more saved searches: delete one first."),
    "header": N_(
        "No column is called title or body, or the like; the columns are %(columns)s. Say which of them is the title."
    ),
    "key.admin": N_("A key with the scope admin opens every collection: choose none."),
    "key.day": N_("A key expires on a day to come, written as 2030-12-31."),
    "key.full": N_("There are already %(most)s keys: revoke one first."),
    "key.scopes": N_("Choose what the key may do: one or more of %(scopes)s."),
    "keys_meet": N_("The ids '%(first)s' and '%(second)s' have the same key: rename one of them."),
    "kind": N_(
        "This is not a file of documents: choose one that ends in .csv, .tsv, .xlsx, .ods, .json, .jsonl, .zip, .bib,"
        " .ris, .html, .md, .txt, .pdf, .docx, .odt or .epub."
    ),
    "links": N_("There are already %(most)s links to this screening: revoke one first."),
    "map.column": N_("No column is called '%(column)s'; the columns are %(columns)s."),
    "map.field": N_("'%(field)s' is not a field of documents; the fields are %(fields)s."),
    "map.pair": N_("'%(pair)s' does not map a column: write FIELD=COLUMN, such as title=name."),
    "map.twice": N_("%(field)s is mapped to two columns, %(first)s and %(second)s: choose one."),
    "missing": N_("There is no such file."),
    "name": N_("A name has 1 to %(most)s characters."),
    "no_collection": N_("There is no collection '%(collection)s'."),
    "no_profiles": N_("The collection '%(collection)s' is empty: import profiles first."),
    "no_room": N_(
        "There are already %(most)s screenings with decisions, which is the limit: delete one you no longer need."
    ),
    "no_room.everybody": N_(
        "Visitors without a key have no room left for screenings: try again tomorrow, or sign in with a key."
    ),
    "no_skills": N_("No skill was found here, so there is nothing to rank by: name the job's skills."),
    "not_found.id": N_("There is no document '%(id)s' in the collection '%(collection)s'."),
    "not_found.title": N_("No document in the collection '%(collection)s' has the title '%(title)s'."),
    "nothing": N_("No row of the file can be read: there is none below the header."),
    "nothing.row": N_("No row of the file can be read. Line %(line)s: %(reason)s."),
    "records": N_("There is no list '%(path)s' in the file; the lists of objects are %(paths)s."),
    "renamed": N_(
        "The file is called %(suffix)s and is a %(kind)s file: give it its own name ending, or export it as CSV."
    ),
    "sheet": N_("There is no sheet '%(sheet)s'; the sheets are %(sheets)s."),
    "too_many": N_(
        "The collection has more than %(most)s profiles: import the ones you need into a collection of their own."
    ),
    "too_much.columns": N_("Choose 1 to %(most)s to compare."),
    "too_much.note": N_("The note is longer than %(most)s characters: shorten it."),
    "too_much.skill": N_(
        "A skill is longer than %(most)s characters: write one per line, or separate them with commas."
    ),
    "too_much.skills": N_("More than %(most)s skills: keep the most important ones."),
    "too_much.text": N_("The text is longer than %(most)s characters: send part of it."),
    "twice": N_("Two columns have the same name: %(names)s. Rename one of them."),
    "xls": N_("This is an old spreadsheet (.xls), or one with a password: save it as .xlsx without a password."),
    "web.private": N_(
        "'%(host)s' is on a private network, from which nothing is fetched: save the file and import it."
    ),
    "web.redirects": N_("'%(address)s' redirects too often: write the address where it ends."),
    "web.robots": N_("The site does not let programs read '%(address)s' (robots.txt): save the file and import it."),
    "web.scheme": N_("'%(address)s' is not an address of the web: write http:// or https:// before a name."),
    "web.size": N_("'%(address)s' is larger than %(most)s MB: save the file and import it."),
    "web.status": N_("'%(address)s' answers with the status %(status)s: check the address."),
    "web.time": N_("'%(address)s' takes longer than %(most)s seconds: save the file and import it."),
    "web.unreachable": N_("'%(address)s' cannot be reached: %(reason)s."),
}  # fmt: skip


class Refusal(ValueError):
    """A request that cannot be met: a key of MESSAGES and the values of its placeholders."""

    def __init__(self, key: str, **values: object) -> None:
        super().__init__(MESSAGES[key] % {name: str(value) for name, value in values.items()})
        self.key, self.values = key, values

    def as_json(self) -> dict[str, Any]:
        """Return the key and the values for a report that is stored; a value may itself be a refusal."""
        values = {name: value.as_json() if isinstance(value, Refusal) else value for name, value in self.values.items()}
        return {"code": self.key, "values": values}

    @property
    def code(self) -> str:
        return self.key.partition(".")[0]
