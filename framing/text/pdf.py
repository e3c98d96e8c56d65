"""The text of a PDF, in paragraphs.

pdfium gives lines in reading order; where one paragraph ends and the next begins is read off the
page: the gap between lines, the size of the letters, indents, and lines that stop short.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING

from framing.text.bytes_in import MAX_FILE_BYTES, Unreadable
from framing.text.document import Reason

if TYPE_CHECKING:
    from pypdfium2 import PdfDocument, PdfPage

#: A longer PDF is a book, not an article.
MAX_PAGES = 500

_PASSWORD_ERROR = 4  # FPDF_ERR_PASSWORD
_TAIL_BYTES = 4096
_BULLET = re.compile(r"(?:[•◦▪‣●–—*-]|\(?\d{1,2}[.)])\s")
_PAGE_NUMBER = re.compile(
    r"(?:page\s+)?\W{0,2}\d{1,4}(?:\s*(?:/|of)\s*\d{1,4})?\W{0,2}", re.IGNORECASE
)
_SENTENCE_END = re.compile(r"[.!?:…][\"'”’»)\]]*$")
_BROKEN_WORD = "\x02"  # pdfium's mark for a hyphen at the end of a line; U+FFFE in others
_LINE_ENDS = (0x0A, 0x02, 0xFFFE)  # a broken word goes on without a line feed


@dataclass(frozen=True, slots=True)
class _Line:
    text: str
    page: int
    left: float
    right: float
    bottom: float
    height: float


@dataclass(frozen=True, slots=True)
class PdfText:
    """What a PDF says: `body` has blank lines between paragraphs."""

    body: str
    title: str | None
    author: str | None
    created: str | None


def read_pdf(data: bytes) -> PdfText:
    """Read the text of a PDF.

    Raises
    ------
    Unreadable
        UNSUPPORTED without the `pdf` extra, TRUNCATED, ENCRYPTED, MALFORMED, TOO_LARGE, or NO_TEXT
        for scans.
    """
    try:
        import pypdfium2
    except ImportError:
        raise Unreadable(
            Reason.UNSUPPORTED, 'reading PDF takes one more package: pip install "framing[pdf]"'
        ) from None
    # pdfium mends what it can, and would return the first half of a file as if it were all.
    if b"%%EOF" not in data[-_TAIL_BYTES:]:
        raise Unreadable(
            Reason.TRUNCATED, "the PDF ends too early (no %%EOF): download or copy it again"
        )
    try:
        with pypdfium2.PdfDocument(data) as document:
            return _read(document)
    except pypdfium2.PdfiumError as error:
        if error.err_code == _PASSWORD_ERROR:
            raise Unreadable(
                Reason.ENCRYPTED, "the PDF asks for a password: save a copy without one"
            ) from None
        raise Unreadable(
            Reason.MALFORMED, "not a sound PDF: download it again, or save its text as .txt"
        ) from None


def _read(document: PdfDocument) -> PdfText:
    if len(document) > MAX_PAGES:
        raise Unreadable(
            Reason.TOO_LARGE, f"{len(document)} pages, more than {MAX_PAGES}: split the PDF"
        )
    pages: list[list[_Line]] = []
    size = 0
    for number in range(len(document)):
        pages.append(list(_lines(document[number], number)))
        size += sum(len(line.text) for line in pages[-1])
        if size > MAX_FILE_BYTES:
            raise Unreadable(Reason.TOO_LARGE, "more text than one article has: split the PDF")
    body = "\n\n".join(_paragraphs(_without_running_heads(pages)))
    if not body:
        raise Unreadable(
            Reason.NO_TEXT, "this PDF holds pictures of text: run it through OCR first"
        )
    about = document.get_metadata_dict()
    # Word processors leave file names here: a title is believed where the text begins with it.
    title = " ".join(about.get("Title", "").split())
    return PdfText(
        body=body,
        title=title if title and body.startswith(title) else None,
        author=about.get("Author") or None,
        created=about.get("CreationDate") or None,
    )


def _lines(page: PdfPage, number: int) -> Iterator[_Line]:
    """The lines of a page in reading order, with where they stand."""
    from pypdfium2 import raw

    textpage = page.get_textpage()
    characters = [raw.FPDFText_GetUnicode(textpage, i) for i in range(textpage.count_chars())]
    begin = 0
    ends = [i + 1 for i, code in enumerate(characters) if code in _LINE_ENDS]
    for end in [*ends, len(characters)]:
        visible = [i for i in range(begin, end) if characters[i] > 0x20]
        codes, begin = characters[begin:end], end
        if not visible:
            continue
        left, bottom, _, top = textpage.get_charbox(visible[0], loose=True)
        _, _, right, _ = textpage.get_charbox(visible[-1], loose=True)
        text = "".join(map(chr, codes)).encode("utf-16", "surrogatepass").decode("utf-16", "ignore")
        text = " ".join(text.replace("\ufffe", _BROKEN_WORD).split())
        yield _Line(text, number, left, right, bottom, top - bottom)


def _without_running_heads(pages: list[list[_Line]]) -> list[_Line]:
    """Drop page numbers, and first and last lines that come back on most pages."""

    def key(line: _Line) -> str:
        return re.sub(r"\d+", "#", line.text)

    seen = Counter(key(line) for page in pages for line in {*page[:1], *page[-1:]})
    kept: list[_Line] = []
    for page in pages:
        for place, line in enumerate(page):
            if place in (0, len(page) - 1) and (
                (len(pages) > 2 and seen[key(line)] > len(pages) / 2)
                or (len(page) > 1 and _PAGE_NUMBER.fullmatch(line.text))
            ):
                continue
            kept.append(line)
    return kept


def _paragraphs(lines: list[_Line]) -> Iterator[str]:
    """Join lines into paragraphs."""
    if not lines:
        return
    gaps = [
        (a.bottom - b.bottom) / a.height
        for a, b in pairwise(lines)
        if a.page == b.page and 0 < a.bottom - b.bottom < 4 * a.height
    ]
    usual_gap = median(gaps) if gaps else 1.2
    everything = "\n".join(line.text for line in lines)
    paragraph = [lines[0]]
    for line in lines[1:]:
        if _begins_paragraph(paragraph, line, usual_gap):
            yield _join(paragraph, everything)
            paragraph = []
        paragraph.append(line)
    yield _join(paragraph, everything)


def _begins_paragraph(paragraph: list[_Line], line: _Line, usual_gap: float) -> bool:
    last = paragraph[-1]
    if _BULLET.match(line.text):
        return True
    if abs(line.height - last.height) > 0.15 * last.height:
        return True
    ended = bool(_SENTENCE_END.search(last.text))
    drop = last.bottom - line.bottom
    if line.page != last.page or drop < 0:  # the next page or column goes on where this stopped
        return ended or (not last.text.endswith(_BROKEN_WORD) and line.text[:1].isupper())
    if drop > (usual_gap + 0.35) * last.height:
        return True
    margin = min(other.left for other in paragraph)
    if ended and line.left > margin + 0.8 * line.height and len(paragraph) > 1:
        return True
    widest = max(other.right for other in [*paragraph, line])
    return ended and last.right < margin + 0.8 * (widest - margin)


def _join(paragraph: list[_Line], everything: str) -> str:
    """Put a paragraph on one line, its broken words whole again."""
    text = paragraph[0].text
    for line in paragraph[1:]:
        broken = re.search(r"(\w+)[\x02-]$", text)
        if broken is None:
            text = f"{text} {line.text}"
            continue
        rest = re.match(r"\w*", line.text)
        compound = f"{broken[1]}-{rest[0] if rest else ''}"
        keep = not line.text[:1].islower() or compound in everything
        text = text[:-1] + ("-" if keep else "") + line.text
    return text.replace(_BROKEN_WORD, "-")
