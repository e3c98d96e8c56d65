"""Reading PDFs: lines become paragraphs again."""

from __future__ import annotations

import sys
from importlib.util import find_spec

import pytest
from reading import (
    PARAGRAPHS,
    Write,
    make_pdf,
    only_failure,
    set_lines,
)

from framing.text.document import Reason
from framing.text.readers import read

needs_pdf = pytest.mark.skipif(find_spec("pypdfium2") is None, reason="needs the pdf extra")


@needs_pdf
@pytest.mark.parametrize(("gap", "indent"), [(8, 0), (0, 18), (0, 0)])
def test_pdf_lines_are_joined_to_paragraphs(write: Write, gap: float, indent: float) -> None:
    info = "/Title (Bridge closes) /Author (Mira Holt) /CreationDate (D:20240305080000Z)"
    pdf = make_pdf([[(72, 740, 20, "Bridge closes"), *set_lines(gap, indent)]], info)
    (document,) = read(write("a.pdf", pdf))
    assert document.text.split("\n\n") == ["Bridge closes", *PARAGRAPHS]
    assert (document.title, document.author) == ("Bridge closes", "Mira Holt")


@needs_pdf
def test_pdf_columns_page_numbers_and_running_heads(write: Write) -> None:
    left = set_lines(indent=12, width=34)
    right = [(x + 260, y, size, text) for x, y, size, text in left]
    pages = [
        [(72, 770, 9, "Coast Daily"), *left, *right, (300, 30, 9, str(number))]
        for number in (1, 2, 3)
    ]
    (document,) = read(write("a.pdf", make_pdf(pages)))
    assert document.text.split("\n\n") == PARAGRAPHS * 6


@needs_pdf
def test_pdf_paragraph_over_a_page_break_and_a_list(write: Write) -> None:
    first = set_lines(gap=8)[:-1]
    rest = set_lines(gap=8)[-1]
    second = [(72, 700, 11, rest[3]), (72, 672, 11, "- One item"), (72, 658, 11, "- Two items")]
    (document,) = read(write("a.pdf", make_pdf([first, second])))  # type: ignore[list-item]
    assert document.text.split("\n\n") == [*PARAGRAPHS, "- One item", "- Two items"]


@needs_pdf
def test_pdf_broken_words_are_made_whole(write: Write) -> None:
    texts = [
        "The port author-",
        "ity said the well-",
        "known bridge is",
        "closed: it is well-known.",
    ]
    lines = [(72.0, 700.0 - 14 * n, 11.0, text) for n, text in enumerate(texts)]
    (document,) = read(write("a.pdf", make_pdf([lines])))
    assert (
        document.text
        == "The port authority said the well-known bridge is closed: it is well-known."
    )


@needs_pdf
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (make_pdf([set_lines()])[:700], Reason.TRUNCATED),
        (b"%PDF-1.4\njunk\n%%EOF", Reason.MALFORMED),
        (make_pdf([[]]), Reason.NO_TEXT),
        (
            make_pdf(
                [set_lines()],
                trailer="/ID [<00><00>] /Encrypt << /Filter /Standard /V 1 /R 2 /P -4 "
                f"/O <{'ab' * 32}> /U <{'cd' * 32}> >>",
            ),
            Reason.ENCRYPTED,
        ),
    ],
    ids=["truncated", "junk", "scan", "password"],
)
def test_bad_pdf(write: Write, content: bytes, reason: Reason) -> None:
    assert only_failure(write("a.pdf", content)).reason is reason


def test_pdf_without_the_extra(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pypdfium2", None)
    failure = only_failure(write("a.pdf", make_pdf([set_lines()])))
    assert failure.reason is Reason.UNSUPPORTED
    assert 'pip install "framing[pdf]"' in failure.message
