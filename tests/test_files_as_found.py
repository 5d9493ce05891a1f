"""Files as people have them: what each of them becomes, or the reason and the mend."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from indexing.documents import NewDocument
from indexing.layout import Options
from indexing.previews import preview
from indexing.reading import rows
from indexing.rows import FileUnusable

HEBREW = "שלום עולם, זהו סיפור על ילדה שיצאה מהבית אל היער"
RUSSIAN = "Девочка вышла из дома и пошла в лес, где встретила волка"
FRENCH = "La fée a rêvé d'un été très doux près de la forêt à Noël"


def documents(folder: Path, name: str, content: str | bytes, options: Options | None = None) -> list[NewDocument]:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return preview(path, options or Options(), most=20).documents


def first(folder: Path, name: str, content: str | bytes, options: Options | None = None) -> NewDocument:
    return documents(folder, name, content, options)[0]


# (name, content, (title, body, tags) of every document)
READ: list[tuple[str, str, str | bytes, list[tuple[str, str, tuple[str, ...]]]]] = [
    (
        "two rows of one title",
        "x.csv",
        "title,author,url\nתרופות,א,https://a.example/1\nתרופות,ב,https://a.example/2\n",
        [("תרופות", "", ()), ("תרופות", "", ())],
    ),
    (
        "a list of JSON in a cell",
        "x.csv",
        'id,title,body,tags\n1,c,f,"[""baking"", ""sweet things""]"\n',
        [("c", "f", ("baking", "sweet things"))],
    ),
    (
        "a list of Python in a cell",
        "x.csv",
        "id;title;tags\n1;c;['א', \"ב'\", 'ג, ד']\n",
        [("c", "", ("א", "ב'", "ג, ד"))],
    ),
    (
        "a list of objects in a cell",
        "x.csv",
        "title,genres\nc,\"[{'id': 1, 'name': 'Drama'}, {'id': 2, 'name': 'War'}]\"\n",
        [("c", "", ("Drama", "War"))],
    ),
    ("an array of PostgreSQL", "x.csv", 'title,tags\nc,"{a,""b c""}"\n', [("c", "", ("a", "b c"))]),
    ("tags in angles", "x.csv", "title,tags\nc,<c++><python-3>\n", [("c", "", ("c++", "python-3"))]),
    ("hashes", "x.csv", "title,tags\nc,#קיץ #ים_תיכון\n", [("c", "", ("קיץ", "ים_תיכון"))]),
    ("C# is no hash", "x.csv", 'title,tags\nc,"C#, F#"\n', [("c", "", ("C#", "F#"))]),
    (
        "tags as objects",
        "x.jsonl",
        '{"id":1,"title":"עוגה","tags":[{"id":5,"name":"אפייה"}]}\n',
        [("עוגה", "", ("אפייה",))],
    ),
    (
        "one separator for the column",
        "x.csv",
        'id,title,body,tags\n1,א,ב,"מדעים | עברית, לשון"\n2,ג,ד,"עברית, לשון"\n',
        [("א", "ב", ("מדעים", "עברית, לשון")), ("ג", "ד", ("עברית, לשון",))],
    ),
    (
        "invisible signs in the header",
        "x.csv",
        "\u200fid,\u200ftitle\u200e,\u202abody\u202c\n\u200f1,\u200eא,ב\u200f\n",
        [("א", "ב", ())],
    ),
    ("a trailing comma in every row", "x.csv", "id,title,body\n1,א,ב,\n2,ג,ד,\n", [("א", "ב", ()), ("ג", "ד", ())]),
    ("trailing commas in the header too", "x.csv", "id,title,body,,\n1,א,ב,,\n", [("א", "ב", ())]),
    (
        "an object around the list",
        "x.json",
        '{\n "total": 2,\n "results": [\n  {"id": 1, "title": "עוגה"},\n  {"id": 2, "title": "מרק"}\n ]\n}\n',
        [("עוגה", "", ()), ("מרק", "", ())],
    ),
    (
        "an object around the list on one line",
        "x.json",
        '{"title": "all", "items": [{"title": "a"}, {"title": "b"}]}',
        [("a", "", ()), ("b", "", ())],
    ),
    (
        "a list deep inside",
        "x.json",
        '{"a": [1, [2]], "response": {"x": [], "docs": [{"title": "]["}, {"title": "b"}]}}',
        [("][", "", ()), ("b", "", ())],
    ),
    (
        "one object over several lines",
        "x.json",
        '{\n "title": "a",\n "tags": ["x",\n "y"]\n}\n',
        [("a", "", ("x", "y"))],
    ),
    (
        "objects one after another",
        "x.json",
        '{\n "title": "a"\n}\n{\n "title": "b"\n}\n',
        [("a", "", ()), ("b", "", ())],
    ),
    ("lines with commas", "x.jsonl", '{"title": "a"},\n{"title": "b"},\n', [("a", "", ()), ("b", "", ())]),
    ("an array written as lines", "x.jsonl", '[\n{"title": "a"},\n{"title": "b"}\n]\n', [("a", "", ()), ("b", "", ())]),
    ("a line sep=;", "x.csv", "\ufeffsep=;\r\nid;title;body\r\n1;א;ב,ג\r\n", [("א", "ב,ג", ())]),
    ("a line sep of an odd sign", "x.csv", "sep=~\nid~title\n1~א,ב\n", [("א,ב", "", ())]),
    ("bars", "x.csv", "id|title|body\n1|א|ב, ג; ד\n", [("א", "ב, ג; ד", ())]),
    ("carets", "x.txt", "id^title^body\n1^א^ב\n2^ג^ד\n", [("א", "ב", ()), ("ג", "ד", ())]),
    ("Hebrew headers", "x.csv", "מזהה,כותרת,תוכן,תגיות\n1,עוגה,קמח וסוכר,אפייה\n", [("עוגה", "קמח וסוכר", ("אפייה",))]),
    (
        "a Hebrew list of books",
        "x.csv",
        "כותרת,מחבר,תקציר,נושאים\nהים,דנה,על הים,ים; קיץ\n",
        [("הים", "על הים", ("ים", "קיץ"))],
    ),
    (
        "a newcomer's books",
        "x.csv",
        "Book Title,Author,Summary,Genres\nSea,Dana,About it,sea;summer\n",
        [("Sea", "About it", ("sea", "summer"))],
    ),
    (
        "headers in camel case",
        "x.csv",
        "code,preferredLabel,description\n7,technical director,Leads the crew.\n",
        [("technical director", "Leads the crew.", ())],
    ),
    (
        "a title that is known by its values",
        "x.csv",
        "body,year,work\nx,2001,First song\ny,2002,Second song\nz,2003,Third song\n",
        [("First song", "x", ()), ("Second song", "y", ()), ("Third song", "z", ())],
    ),
    (
        "notes before the header",
        "x.csv",
        'Notes:\n"Some addresses are missing."\n\nid,title,body\n1,א,ב\n',
        [("א", "ב", ())],
    ),
    (
        "notes with commas before the header",
        "x.csv",
        "Budget,,,\nfor 2024, by Dana,,\n,,,\nid,title,body,tags\n1,א,ב,ג\n2,ד,ה,ו\n",
        [("א", "ב", ("ג",)), ("ד", "ה", ("ו",))],
    ),
    (
        "HTML in the body",
        "x.csv",
        'id,title,body\n1,כותרת,"<p style=""color:red"">שלום &amp; ברכה</p><p>ו<b>עוד</b></p><script>x</script>"\n',
        [("כותרת", "שלום & ברכה\n\nועוד", ())],
    ),
    (
        "a tag of HTML named in a text",
        "x.csv",
        "title,body\nb,use <b> for bold and 1 < 2 > 0\n",
        [("b", "use <b> for bold and 1 < 2 > 0", ())],
    ),
    ("gershayim inside quotes", "x.csv", 'title,body\n"צה"ל, והרמב"ם",ד"ר כהן\n', [('צה"ל, והרמב"ם', 'ד"ר כהן', ())]),
    (
        "quoted words inside quotes",
        "x.csv",
        'title,body\n"הוא אמר "שלום, לך" והלך",x\n',
        [('הוא אמר "שלום, לך" והלך', "x", ())],
    ),
    ("quotes with spaces around them", "x.csv", 'title, body\n"a, b" , "c, d"\n', [("a, b", "c, d", ())]),
    ("inches", "x.csv", 'title,body\n5" pipe,of 6"\n', [('5" pipe', 'of 6"', ())]),
    ("a formula that keeps a number's zeros", "x.csv", 'title,isbn\nc,"=""0439"""\n', [("c", "", ())]),
    ("columns without a name", "x.csv", ",title,,\n0,א,,ב\n", [("א", "", ())]),
    (
        "one column of texts with commas",
        "x.csv",
        "text\nhello, world\nyes\n",
        [("hello, world", "hello, world", ()), ("yes", "yes", ())],
    ),
    (
        "a body that is a list",
        "x.jsonl",
        '{"title": "a", "text": ["x", ["y", {"text": "z", "n": 1}]]}',
        [("a", "x\n\ny\n\nz", ())],
    ),
    ("a title that ends a line", "x.csv", 'title,body\n"א\r\n",ב\n"ג\rד",ה\n', [("א", "ב", ()), ("ג ד", "ה", ())]),
    ("UTF-16 of Excel", "x.txt", "id\ttitle\tbody\n1\tעוגה\tקמח\n".encode("utf-16"), [("עוגה", "קמח", ())]),
    ("UTF-16 without a mark", "x.csv", "id,title,body\n1,עוגה,קמח\n".encode("utf-16-le"), [("עוגה", "קמח", ())]),
    ("UTF-16 of JSON", "x.json", '[{"title": "עוגה"}]'.encode("utf-16-be"), [("עוגה", "", ())]),
    ("Hebrew of Windows", "x.csv", f'title,body\nא,"{HEBREW}"\n'.encode("cp1255"), [("א", HEBREW, ())]),
    ("Russian of Windows", "x.csv", f'title,body\nК,"{RUSSIAN}"\n'.encode("cp1251"), [("К", RUSSIAN, ())]),
    ("French of Windows", "x.csv", f'title,body\nÉté,"{FRENCH}"\n'.encode("cp1252"), [("Été", FRENCH, ())]),
]


@pytest.mark.parametrize(("name", "content", "expected"), [case[1:] for case in READ], ids=[case[0] for case in READ])
def test_a_file_is_read_as_it_was_meant(
    tmp_path: Path, name: str, content: str | bytes, expected: list[tuple[str, str, tuple[str, ...]]]
) -> None:
    assert [(one.title, one.body, one.tags) for one in documents(tmp_path, name, content)] == expected


REFUSED = [
    ("a spreadsheet called csv", "x.csv", b"PK\x03\x04 and more", Options(), "is a zip file"),
    ("no header of ours", "x.csv", "color,size\nred,1\n", Options(), "the columns are color, size"),
    ("no encoding of that name", "x.csv", "title\nx\n", Options(encoding="klingon"), "no encoding 'klingon'"),
    ("no text encoding", "x.csv", "title\nx\n", Options(encoding="hex"), "no encoding 'hex'"),
    (
        "no list of that name",
        "x.json",
        '{"a": {"b": [{"title": 1}]}}',
        Options(records="rows"),
        "the lists of objects are a.b",
    ),
    ("lists of lists", "x.json", '[["title"], ["x"]]', Options(), "Line 1: not a JSON object"),
    (
        "every row too wide",
        "x.csv",
        "title,body\n1,2,3\n",
        Options(),
        "Line 2: 3 columns, and the header has 2: put quotes",
    ),
    ("not a number", "x.jsonl", '{"title": NaN}', Options(), "Line 1: not JSON: NaN is no number"),
]


@pytest.mark.parametrize(
    ("name", "content", "options", "reason"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED]
)
def test_a_file_is_refused_with_its_first_reason(
    tmp_path: Path, name: str, content: str | bytes, options: Options, reason: str
) -> None:
    with pytest.raises(FileUnusable) as caught:
        documents(tmp_path, name, content, options)
    assert reason in str(caught.value)


def test_an_encoding_that_is_given_is_believed(tmp_path: Path) -> None:
    content = "title\nсова\n".encode("cp866")
    assert first(tmp_path, "x.csv", content, Options(encoding="cp866")).title == "сова"


def test_the_list_of_documents_may_be_named(tmp_path: Path) -> None:
    content = json.dumps({"items": [{"title": "a"}], "more": {"rows": [{"title": "b", "items": [{"title": "c"}]}]}})
    assert first(tmp_path, "x.json", content).title == "a"
    assert first(tmp_path, "x.json", content, Options(records="more.rows")).title == "b"


def test_a_bad_element_inside_an_object_refuses_its_row(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text('{"results": [{"title": "a"}, {"title": 1e400}, {"title": "c"}]}')
    assert [row.fields for row in rows(path, options=Options(records="results"))][1:] == [None, {"title": "c"}]


def test_columns_beside_the_fields_are_kept_and_empty_ones_are_not(tmp_path: Path) -> None:
    document = first(tmp_path, "x.csv", "Book Title,Author,Summary,,\nSea,Dana,About it,,7\n")
    assert document.extra == {"Author": "Dana", "column 5": "7"}


def test_several_columns_are_the_body(tmp_path: Path) -> None:
    options = Options(mapping={"body": "plot"}, more_body=("review",))
    document = first(tmp_path, "x.csv", "title,plot,review\na,b,c\n", options)
    assert (document.body, document.extra) == ("b\n\nc", {})


def test_the_id_is_a_known_column(tmp_path: Path) -> None:
    for name in ("id", "ID", "guid", "Book Id", "isbn", "מזהה", "\ufeffuuid"):
        assert first(tmp_path, "x.csv", f"{name},title\n7,a\n").own_id == "7"
    assert first(tmp_path, "x.csv", "number,title\n7,a\n", Options(mapping={"id": "number"})).own_id == "7"
