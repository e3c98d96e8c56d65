"""One document to a file: plain text, Markdown, a web page, a PDF."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from framing.text.bytes_in import Unreadable
from framing.text.document import Document, Reason
from framing.text.encodings import decode, encoding_warning
from framing.text.pages import declared_charset, looks_like_html, read_page
from framing.text.pdf import read_pdf

_T = TypeVar("_T")


def read_whole(
    data: bytes, kind: str | None, name: str, suffix: str = "", charset: str | None = None
) -> Document:
    """Read a document from the bytes of its file.

    Parameters
    ----------
    data
        The bytes, unpacked.
    kind
        "text", "markdown", "html" or "pdf"; None to find out.
    name
        What the file is called: the document's id.
    suffix
        What the name ends in, for messages.
    charset
        The encoding that came with the file, such as a server's word.

    Raises
    ------
    Unreadable
        The reason it cannot be read.
    """
    warnings: tuple[str, ...] = ()
    if kind == "pdf" or (kind is None and data.startswith(b"%PDF-")):
        return _pdf(data, name)
    if kind == "html":
        text, encoding = decode(data, charset or declared_charset(data))
        return _page(text, encoding, name)
    try:
        text, encoding = decode(data, charset)
    except Unreadable as reason:
        if kind is not None or suffix == "" or reason.reason is not Reason.ENCODING:
            raise
        raise Unreadable(
            Reason.UNSUPPORTED, f"files ending in {suffix} are not known, and this is not text"
        ) from None
    if kind is None:
        if looks_like_html(text):
            text, encoding = decode(data, charset or declared_charset(data))
            return _page(text, encoding, name)
        warnings = (f"unknown suffix {suffix}: read as plain text",) if suffix else ()
    _require_words(text)
    return Document(
        id=name,
        text=text,
        title=_first_heading(text) if kind == "markdown" else None,
        warnings=warnings + encoding_warning(encoding),
    )


def _require_words(text: str) -> None:
    if not re.search(r"\w", text):
        raise Unreadable(Reason.NO_TEXT, "there are no words in it: check that it was saved")


def _first_heading(markdown: str) -> str | None:
    found = re.match(r"\s*#\s+(\S.*?)[\s#]*(?:\n|$)", markdown)
    return found[1] if found else None


def _page(text: str, encoding: str, name: str) -> Document:
    _require_words(text)
    page = _guarded(partial(read_page, text), "page")
    whole, body_start = under_title(page.title, page.body)
    return Document(
        id=name,
        text=whole,
        title=page.title,
        source=page.source,
        date=page.date,
        author=page.author,
        body_start=body_start,
        warnings=page.warnings + encoding_warning(encoding),
        metadata={"url": page.url} if page.url else {},
    )


def _pdf(data: bytes, name: str) -> Document:
    pdf = _guarded(partial(read_pdf, data), "PDF")
    return Document(
        id=name,
        text=pdf.body,
        title=pdf.title,
        author=pdf.author,
        metadata={"created": pdf.created} if pdf.created else {},
    )


def _guarded(extract: Callable[[], _T], what: str) -> _T:
    """Call an extractor, for which a hostile file may find any way at all to fail."""
    try:
        return extract()
    except Unreadable:
        raise
    except Exception as error:
        raise Unreadable(
            Reason.CRASHED,
            f"the {what} reader failed on it ({type(error).__name__}): save its text as .txt",
        ) from error


def under_title(title: str | None, body: str) -> tuple[str, int]:
    """Put a title above the body unless it is there; returns the text and where the body begins."""
    if not title or " ".join(body[: 2 * len(title) + 100].split()).startswith(title):
        return body, 0
    return f"{title}\n\n{body}", len(title) + 2
