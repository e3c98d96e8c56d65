"""Reading texts and web pages: what they say, in whatever encoding."""

from __future__ import annotations

import json
import random

import pytest
from reading import (
    CURLY,
    PAGE,
    PROSE,
    RUSSIAN,
    Write,
    only_failure,
)

from framing.text.document import Reason
from framing.text.readers import read

# --- plain text and its encodings -------------------------------------------------------------


def test_text_is_kept_as_it_is(write: Write) -> None:
    text = "\n  First line.\r\n\r\nSecond “line”. \t\n"
    (document,) = read(write("a.txt", text))
    assert document.text == text
    assert (document.id, document.title, document.body_start) == ("a.txt", None, 0)
    assert document.warnings == ()


def test_markdown_is_kept_as_it_is_and_gives_its_title(write: Write) -> None:
    text = f"# The toll vote #\n\n{PROSE} See [the plan](https://example.org).\n\n* One\n* Two\n"
    (document,) = read(write("a.md", text))
    assert document.text == text
    assert document.title == "The toll vote"


POLISH = (
    "Rada zagłosuje nad opłatą w maju. Rzecznik powiedział, że liczby mówią same za siebie. Most "
    "zostanie zamknięty na rok, a kierowcy pojadą północnym tunelem, który już jest przeciążony."
)
FRENCH = (
    "Le conseil votera sur le péage en mai. Un porte-parole a déclaré que les chiffres parlaient "
    "d'eux-mêmes. Le pont sera fermé pendant un an, a précisé l'autorité, où règne l'inquiétude."
)
JAPANESE = "市議会は五月に通行料について投票する。報道官は数字がすべてを物語っていると述べた。"
CHINESE = "市议会将于五月就通行费进行投票。一位发言人表示，数字说明一切，大桥将关闭一年。"


@pytest.mark.parametrize(
    ("text", "codec", "named"),
    [
        (RUSSIAN, "cp1251", "windows-1251"),
        (RUSSIAN, "koi8-r", "koi8-r"),
        (POLISH, "cp1250", "windows-1250"),
        (FRENCH, "latin-1", "windows-1252"),
        (CURLY, "cp1252", "windows-1252"),
        ("It’s “fine”.", "cp1252", "windows-1252"),
        (JAPANESE, "euc_jp", "euc-jp"),
        (JAPANESE, "cp932", "cp932"),
        (CHINESE, "gb18030", "gb18030"),
        (PROSE, "utf-16", "utf-16"),
        (RUSSIAN, "utf-16", "utf-16"),
        (PROSE, "utf-16-le", "utf-16-le"),
        (PROSE, "utf-16-be", "utf-16-be"),
        (PROSE, "utf-32", "utf-32"),
    ],
)
def test_other_encodings_are_read_and_reported(
    write: Write, text: str, codec: str, named: str
) -> None:
    (document,) = read(write("a.txt", text.encode(codec)))
    assert document.text == text
    assert document.warnings == (f"read as {named}",)


@pytest.mark.parametrize("name", ["a.txt", "a.jsonl"])
def test_characters_spoilt_before_are_reported(write: Write, name: str) -> None:
    text = "The council\ufffds toll isnâ€™t \ufffdsettled\ufffd, says Renée in São Paulo."
    content = text if name == "a.txt" else json.dumps({"text": text})
    (document,) = read(write(name, content))
    assert document.text == text
    lost, misread = document.warnings
    assert lost.startswith("3 damaged characters (\ufffd)")
    assert misread.startswith("1 damaged character (as in")


def test_byte_order_mark_of_utf8_is_no_part_of_the_text(write: Write) -> None:
    (document,) = read(write("a.txt", CURLY.encode("utf-8-sig")))
    assert document.text == CURLY
    assert document.warnings == ()


def test_damaged_utf8_is_refused_rather_than_garbled(write: Write) -> None:
    failure = only_failure(write("a.txt", "“One”.\n“Two”.\n".encode() + b"It\x92s\n"))
    assert failure.reason is Reason.ENCODING
    assert failure.where == "line 3"
    assert "0x92" in failure.message


def test_utf16_cut_inside_a_character(write: Write) -> None:
    assert only_failure(write("a.txt", PROSE.encode("utf-16")[:-1])).reason is Reason.ENCODING


@pytest.mark.parametrize(
    ("name", "content", "hint"),
    [
        ("a.txt", b"\x89PNG\r\n\x1a\n", "PNG"),
        ("a.docx", b"PK\x03\x04rest", "Word"),
        ("a.doc", b"\xd0\xcf\x11\xe0rest", "Word"),
        ("a.txt", b"%PDF-1.7 rest", ".pdf"),
        ("a.txt", b"\x1f\x8b rest", ".gz"),
        ("a.csv", b"PAR1 rest", ".parquet"),
        ("a", b"\x7fELF\x02", "program"),
        ("a.txt", b"abc\x00def and more words", "NUL"),
        ("a.jsonl", b"abc\x00def and more words\n", "NUL"),
        ("a.csv", b"id,te\x00xt\n1,words\n", "NUL"),
        ("a.txt", bytes(range(1, 32)) * 9, "control"),
    ],
)
def test_binary_files(write: Write, name: str, content: bytes, hint: str) -> None:
    failure = only_failure(write(name, content))
    assert failure.reason is Reason.BINARY
    assert hint in failure.message


@pytest.mark.parametrize("seed", range(8))
def test_random_bytes_behind_a_byte_order_mark_are_no_text(write: Write, seed: int) -> None:
    noise = random.Random(seed).randbytes(600).decode("utf-16-le", "ignore")
    failure = only_failure(write("a.txt", b"\xff\xfe" + noise.encode("utf-16-le")))
    assert failure.reason is Reason.BINARY
    assert "characters of no script in use, read as utf-16" in failure.message


@pytest.mark.parametrize(
    "text",
    [
        "ok",
        "Hi 😀😀😀",
        "\ue001 OK",
        "Привет, мир",
        "नमस्ते दुनिया",
        "ສະບາຍດີ",
        "መልካም ቀን",
        "日本国憲法の前文",
        "중요한 연설",
        "中华人民共和国",
        "粵語係我哋嘅母語嚟㗎",
        "ꆈꌠꉙ",
        "ᏣᎳᎩ",
    ],
)
def test_any_script_is_read_from_utf16(write: Write, text: str) -> None:
    assert read(write("a.txt", text.encode("utf-16")))[0].text == text


# --- web pages --------------------------------------------------------------------------------


def test_page(write: Write) -> None:
    (document,) = read(write("a.html", PAGE))
    title, *blocks = document.text.split("\n\n")
    assert title == document.title == "Harbour bridge closes for a year"
    assert document.text[document.body_start :] == "\n\n".join(blocks)
    assert blocks == [
        "The harbour bridge will close on Monday for repairs that are expected to last a year, "
        "the port authority said, citing rust.",
        "“Nobody asked the ferrymen,” says one captain.",
        "What changes",
        "Drivers will be sent round by the northern tunnel, which carries twice the traffic it "
        "was built for.",
        "- Buses 4 and 9 stop at the market.\n- Ferries run more often:\n"
        "- on weekdays\n- on Sundays",
        "Day | Trips\nMonday | 20",
        "The council votes on the toll in May. A spokesman said “the figures speak for "
        "themselves”.",
    ]
    assert (document.source, document.date, document.author) == (
        "Coast Daily",
        "2024-03-05",
        "Mira Holt",
    )


@pytest.mark.parametrize("codec", ["windows-1251", "koi8-r", "utf-8", "utf-16"])
def test_page_charset_is_respected(write: Write, codec: str) -> None:
    body = "".join(f"<p>{RUSSIAN}</p>" for _ in range(3))
    page = (
        f'<html><head><meta charset="{codec}"></head><body><article>{body}</article></body></html>'
    )
    (document,) = read(write("a.html", page.encode(codec)))
    assert RUSSIAN in document.text
    assert document.warnings == (() if codec == "utf-8" else (f"read as {codec}",))


def test_page_with_a_false_charset(write: Write) -> None:
    page = f'<html><head><meta charset="iso-8859-1"></head><body><p>{CURLY}</p></body></html>'
    assert CURLY in read(write("a.html", page.encode()))[0].text
    page = f'<html><head><meta charset="rot13"></head><body><p>{CURLY}</p></body></html>'
    assert CURLY in read(write("b.html", page.encode("cp1252")))[0].text


def test_page_that_says_utf8_and_is_damaged_is_refused(write: Write) -> None:
    page = '<html><head><meta charset="utf-8"></head><body><p>“One” {}</p></body></html>'
    broken = page.format("BAD").encode().replace(b"BAD", b"\x92 \xa2 \x80 \xff" * 9)
    assert only_failure(write("a.html", broken)).reason is Reason.ENCODING


def test_page_of_few_words_and_of_none(write: Write) -> None:
    page = "<html><body><div>Only a few words.</div><div>And more.</div></body></html>"
    (document,) = read(write("a.html", page))
    assert document.text.split() == "Only a few words. And more.".split()
    empty = write("b.html", "<html><body><script>var words = 1</script></body></html>")
    assert only_failure(empty).reason is Reason.NO_TEXT


@pytest.mark.parametrize(
    "page",
    [
        "<html><body>" + "<div>" * 100_000 + f"<p>{PROSE}",
        "<html><body>" + f"<p>{PROSE}</p>" * 40_000,
        "<html><body><p>" + PROSE * 120_000,
    ],
    ids=["deep", "many", "long"],
)
def test_hostile_pages_are_refused(write: Write, page: str) -> None:
    assert only_failure(write("a.html", page)).reason is Reason.TOO_LARGE


def test_pages_with_huge_tags_are_read(write: Write) -> None:
    attributes = " ".join(f'a{n}="x"' for n in range(50_000))
    picture = "A" * 9 * 2**20
    page = f'<html><body><p {attributes}>{PROSE}</p><img src="data:image/png;base64,{picture}">'
    assert PROSE in read(write("a.html", page))[0].text
