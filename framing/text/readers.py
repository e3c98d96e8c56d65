"""Documents in: whatever the file is, one `Document` or one `Failure` after another."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any, TypeVar

from framing.text.bytes_in import Unreadable, chunks, read_all
from framing.text.columns import find_columns, is_known
from framing.text.document import Document, Failure, ReadError, Reason
from framing.text.encodings import decode, encoding_warning
from framing.text.pages import declared_charset, looks_like_html, read_page
from framing.text.pdf import read_pdf
from framing.text.records import Record, csv_rows, json_file, json_lines, not_in, parquet_rows

_T = TypeVar("_T")

_COMPRESSIONS = {".gz": "gz", ".zst": "zst"}
_KINDS = {
    ".txt": "text",
    ".text": "text",
    ".md": "markdown",
    ".markdown": "markdown",
    ".html": "html",
    ".htm": "html",
    ".xhtml": "html",
    ".pdf": "pdf",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
}
# How many rows without a text are looked at before the whole file is said to have none.
_ROWS_TO_FIND_TEXT = 20
_MAX_NAMED_COLUMNS = 30
# UTF-8 once read as Windows-1252 or Latin-1: what is left of a curly quote, a dash or an accent.
_MISREAD = re.compile("â(?:€|\x80)|Ã[\x80-\x9f¢-©¬-º]")
_FLAG = re.compile(r"true|false|yes|no|none|nan|null|\d(\.0)?", re.IGNORECASE)


def read(path: str | os.PathLike[str]) -> list[Document]:
    """Read all documents in a file.

    Parameters
    ----------
    path
        A .txt, .md, .html, .pdf, .json, .jsonl, .csv, .tsv or .parquet file, packed as .gz or .zst
        or not; "-" for standard input.

    Raises
    ------
    ReadError
        At the first document that cannot be read.
    """
    documents = []
    for item in read_documents(path):
        if isinstance(item, Failure):
            raise ReadError(item)
        documents.append(item)
    return documents


def read_documents(
    path: str | os.PathLike[str], *, text_column: str | None = None
) -> Iterator[Document | Failure]:
    """Read documents one at a time; what cannot be read becomes a `Failure` in its place.

    Parameters
    ----------
    path
        As in :func:`read`.
    text_column
        Which column of a table, or key of JSON objects, holds the text; found by its name
        otherwise.
    """
    name = os.fspath(path)
    label = "stdin" if name == "-" else name
    try:
        for item in _read(None if name == "-" else Path(name), text_column):
            yield item.failure(label) if isinstance(item, Unreadable) else _with_damage(item)
    except Unreadable as reason:
        yield reason.failure(label)
    except (MemoryError, RecursionError, ValueError, OSError) as error:
        # ValueError and OSError: a NUL in the name, a disk that fails between two checks.
        yield Failure(label, Reason.UNREADABLE, f"reading failed ({error or type(error).__name__})")


def _with_damage(document: Document) -> Document:
    """Report characters that were spoilt before the file was written."""
    lost, misread = document.text.count("\ufffd"), len(_MISREAD.findall(document.text))
    found = [
        f"{count:,} damaged character{'s' * (count > 1)} ({sign}): {cause}"
        for count, sign, cause in (
            (lost, "\ufffd", "the file was saved without them"),
            (misread, "as in â€™ for ’", "the file was saved in a wrong encoding"),
        )
        if count
    ]
    return replace(document, warnings=(*document.warnings, *found)) if found else document


def _read(path: Path | None, text_column: str | None) -> Iterator[Document | Unreadable]:
    """Take the file for what its name says, or its beginning where the name says nothing."""
    name = "stdin" if path is None else path.name
    suffixes = [] if path is None else [suffix.lower() for suffix in path.suffixes]
    compression = _COMPRESSIONS.get(suffixes[-1]) if suffixes else None
    suffix = "".join(suffixes[-2:-1] if compression else suffixes[-1:])
    pieces = _not_empty(chunks(path, compression))
    known = partial(_is_column, text_column=text_column)
    match _KINDS.get(suffix):
        case "jsonl":
            yield from _documents(json_lines(pieces), name, text_column)
        case "json":
            yield from _documents(json_file(pieces), name, text_column)
        case "csv":
            yield from _documents(csv_rows(pieces, None, known), name, text_column)
        case "tsv":
            yield from _documents(csv_rows(pieces, "\t", known), name, text_column)
        case "parquet":
            assert path is not None
            next(pieces)
            yield from _documents(parquet_rows(path, compression), name, text_column)
        case kind:
            yield _whole(read_all(pieces), kind, name, suffix)


def _not_empty(pieces: Iterator[bytes]) -> Iterator[bytes]:
    first = next(pieces, None)
    if first is None:
        raise Unreadable(Reason.EMPTY, "the file is empty: check that it was saved")
    yield first
    yield from pieces


def _is_column(name: str, text_column: str | None) -> bool:
    return name.strip() == text_column or is_known(name)


# --- one document to a file -------------------------------------------------------------------


def _whole(data: bytes, kind: str | None, name: str, suffix: str) -> Document:
    warnings: tuple[str, ...] = ()
    if kind == "pdf" or (kind is None and data.startswith(b"%PDF-")):
        return _pdf(data, name)
    if kind == "html":
        text, encoding = decode(data, declared_charset(data))
        return _page(text, encoding, name)
    try:
        text, encoding = decode(data)
    except Unreadable as reason:
        if kind is not None or suffix == "" or reason.reason is not Reason.ENCODING:
            raise
        raise Unreadable(
            Reason.UNSUPPORTED, f"files ending in {suffix} are not known, and this is not text"
        ) from None
    if kind is None:
        if looks_like_html(text):
            text, encoding = decode(data, declared_charset(data))
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
    whole, body_start = _under_title(page.title, page.body)
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


def _under_title(title: str | None, body: str) -> tuple[str, int]:
    """Put a title above the body unless it is there; returns the text and where the body begins."""
    if not title or " ".join(body[: 2 * len(title) + 100].split()).startswith(title):
        return body, 0
    return f"{title}\n\n{body}", len(title) + 2


# --- many documents to a file -----------------------------------------------------------------


def _documents(
    rows: Iterator[Record | Unreadable], name: str, text_column: str | None
) -> Iterator[Document | Unreadable]:
    """Turn rows into documents; a file without any text column is one failure."""
    rows = _ending_in_reason(rows)
    head: list[Record | Unreadable] = []
    for row in islice(rows, _ROWS_TO_FIND_TEXT):
        head.append(row)
        if isinstance(row, Record) and find_columns(tuple(row.fields), text_column):
            break
    else:
        if not head:
            raise Unreadable(Reason.NO_TEXT, "there are no rows in it: check that it was saved")
        for row in head:
            if isinstance(row, Record):
                raise _no_text_column(row, text_column)
    for row in chain(head, rows):
        if isinstance(row, Record):
            yield _document(row, name, text_column)
        else:
            yield row


def _ending_in_reason(rows: Iterator[Record | Unreadable]) -> Iterator[Record | Unreadable]:
    """Yield the reason a file gave out for as its last row: those before it are kept."""
    try:
        yield from rows
    except Unreadable as reason:
        yield reason


def _no_text_column(row: Record, text_column: str | None, where: str | None = None) -> Unreadable:
    names = list(row.fields)
    listed = ", ".join(names[:_MAX_NAMED_COLUMNS]) + (", ..." * (len(names) > _MAX_NAMED_COLUMNS))
    wanted = "looks like the text" if text_column is None else f"is called {text_column!r}"
    return Unreadable(
        Reason.NO_TEXT_COLUMN,
        f"no column {wanted}; it has {listed or 'none'}: name the right one with --text-column",
        where,
    )


def _document(row: Record, name: str, text_column: str | None) -> Document | Unreadable:
    fields = row.fields
    columns = find_columns(tuple(fields), text_column)
    if columns is None:
        return _no_text_column(row, text_column, row.where)
    body = fields[columns.text]
    if body is None or (isinstance(body, str) and not re.search(r"\w", body)):
        return Unreadable(
            Reason.NO_TEXT, f"column {columns.text!r} has no words here: fill or drop it", row.where
        )
    if isinstance(body, bytes):
        return Unreadable(Reason.ENCODING, not_in("utf-8"), row.where)
    if not isinstance(body, str):
        return Unreadable(
            Reason.MALFORMED,
            f"{columns.text!r} holds {type(body).__name__}, not a string: make it one",
            row.where,
        )
    title = " ".join(_field(fields, columns.title).split()) or None
    others = columns.others
    if title and columns.title and _FLAG.fullmatch(title):  # whether it is one, not which it is
        title, others = None, (columns.title, *others)
    text, body_start = _under_title(title, body)
    return Document(
        id=_field(fields, columns.id) or (f"{name}#{row.number}" if row.where else name),
        text=text,
        title=title,
        source=_field(fields, columns.source) or None,
        date=_field(fields, columns.date) or None,
        author=_field(fields, columns.author) or None,
        body_start=body_start,
        warnings=row.warnings,
        metadata={other: value for other in others if (value := _field(fields, other))},
    )


def _field(fields: Mapping[str, Any], column: str | None) -> str:
    """A scalar, or a list of strings such as authors, as text; nothing else."""
    match fields.get(column) if column is not None else None:
        case str() as text:
            return text.strip()
        case bool() as truth:
            return str(truth).lower()
        case int() | float() as number:
            return str(number)
        case list() as several if all(isinstance(one, str) for one in several):
            return ", ".join(several)
        case _:
            return ""
