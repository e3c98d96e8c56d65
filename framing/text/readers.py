"""Documents in: whatever the file is, one `Document` or one `Failure` after another."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple

from framing.text.arrow import arrow_rows, parquet_rows
from framing.text.bytes_in import Unreadable, chunks, not_empty, read_all
from framing.text.columns import Choice, Columns, find_columns, is_known, is_number
from framing.text.document import Document, Failure, ReadError, Reason
from framing.text.piped import beginning, of_stdin
from framing.text.records import (
    Record,
    begins_json_lines,
    csv_rows,
    holds_json,
    json_file,
    json_lines,
    not_in,
)
from framing.text.whole import read_whole, under_title

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
    ".arrow": "arrow",
}
_TABLES = frozenset({"jsonl", "json", "csv", "tsv", "parquet", "arrow"})
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
        A .txt, .md, .html, .pdf, .json, .jsonl, .csv, .tsv, .parquet or .arrow file, packed as .gz
        or .zst or not; "-" for standard input: one article, or JSON Lines, packed or not.

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
    path: str | os.PathLike[str], *, text_column: str | None = None, called: str | None = None
) -> Iterator[Document | Failure]:
    """Read documents one at a time; what cannot be read becomes a `Failure` in its place.

    Parameters
    ----------
    path
        As in :func:`read`.
    text_column
        Which column of a table, or key of JSON objects, holds the text; found by its name
        otherwise.
    called
        What documents without an id of their own are called after; the file's name by default.
    """
    name = os.fspath(path)
    choice = Choice(text=text_column)
    if name == "-":
        return _told("stdin", lambda: _read_stdin("stdin", choice))
    file = Path(name)
    return _told(name, lambda: _read(file, called or file.name, choice))


def read_named(path: Path, name: str, choice: Choice) -> Iterator[Document | Failure]:
    """Read documents as :func:`read_documents` does, from a file that goes by another name.

    Parameters
    ----------
    path
        The file.
    name
        What documents without an id of their own, and failures, are called after.
    choice
        Which columns the user names.
    """
    return _told(name, lambda: _read(path, name, choice))


def is_table(path: Path) -> bool:
    """Whether a file, by its name, holds rows, each a document."""
    return _what(path).kind in _TABLES


def is_archive(path: Path) -> bool:
    """Whether a file, by its name, is a web archive, which a corpus run reads page by page."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in _COMPRESSIONS:
        suffixes.pop()
    return suffixes[-1:] == [".warc"] or suffixes[-2:] == [".warc", ".wet"]


def columns_of(path: Path, choice: Choice) -> Columns | None:
    """The columns found in a table; None where there is no text among them, or no table at all."""
    try:
        rows = _rows(path, _what(path), choice)
        return None if rows is None else _head(rows, choice)[1]
    except (Unreadable, MemoryError, RecursionError, ValueError, OSError):
        return None


def with_damage(document: Document) -> Document:
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


def _told(
    label: str, read: Callable[[], Iterator[Document | Unreadable]]
) -> Iterator[Document | Failure]:
    try:
        for item in read():
            if isinstance(item, Unreadable):
                yield item.failure(label)
            else:
                yield replace(with_damage(item), file=label)
    except Unreadable as reason:
        yield reason.failure(label)
    except (MemoryError, RecursionError, ValueError, OSError) as error:
        # ValueError and OSError: a NUL in the name, a disk that fails between two checks.
        yield Failure(label, Reason.UNREADABLE, f"reading failed ({error or type(error).__name__})")


class _What(NamedTuple):
    """What a file is by its name."""

    kind: str | None
    suffix: str
    compression: str | None


def _what(path: Path) -> _What:
    suffixes = [suffix.lower() for suffix in path.suffixes]
    compression = _COMPRESSIONS.get(suffixes[-1]) if suffixes else None
    suffix = "".join(suffixes[-2:-1] if compression else suffixes[-1:])
    return _What(_KINDS.get(suffix), suffix, compression)


def _read(path: Path, name: str, choice: Choice) -> Iterator[Document | Unreadable]:
    """Take the file for what its name says, or its beginning where the name says nothing."""
    what = _what(path)
    _refuse_corpus(path)
    rows = _rows(path, what, choice)
    if rows is not None:
        yield from _documents(rows, name, choice)
    else:
        data = read_all(not_empty(chunks(path, what.compression)))
        yield read_whole(data, what.kind, name, what.suffix)


def _read_stdin(name: str, choice: Choice) -> Iterator[Document | Unreadable]:
    """Take standard input for records of JSON where it begins with one, else for one document."""
    try:
        head, pieces = beginning(not_empty(chunks(None, None)))
        if begins_json_lines(head):
            documents = _documents(json_lines(pieces), name, choice)
        else:
            data = read_all(pieces)
            if holds_json(data):
                documents = _documents(json_file(iter([data])), name, choice)
            else:
                documents = iter([read_whole(data, None, name)])
        for item in documents:
            yield of_stdin(item) if isinstance(item, Unreadable) else item
    except Unreadable as reason:
        raise of_stdin(reason) from None


def _refuse_corpus(path: Path) -> None:
    """Send what only a corpus run reads there."""
    how = f"score all of it with framing run {path} -o OUT"
    with suppress(OSError):  # whoever opens it says why it cannot be
        if path.is_dir():
            raise Unreadable(
                Reason.IS_DIRECTORY,
                f"this is a directory: {how}, or name the files in it, as in DIR/*",
            )
        if is_archive(path) and path.is_file():
            raise Unreadable(Reason.UNSUPPORTED, f"this is a web archive: {how}")


def _rows(path: Path, what: _What, choice: Choice) -> Iterator[Record | Unreadable] | None:
    """The rows of a table; None for another file."""
    if what.kind not in _TABLES:
        return None
    pieces = not_empty(chunks(path, what.compression))
    known = partial(_is_column, choice=choice)
    match what.kind:
        case "jsonl":
            return json_lines(pieces)
        case "json":
            return json_file(pieces)
        case "csv":
            return csv_rows(pieces, None, known)
        case "tsv":
            return csv_rows(pieces, "\t", known)
    next(pieces)
    return (parquet_rows if what.kind == "parquet" else arrow_rows)(path, what.compression)


def _is_column(name: str, choice: Choice) -> bool:
    return name.strip() in choice.names or is_known(name)


# --- many documents to a file -----------------------------------------------------------------


def _documents(
    rows: Iterator[Record | Unreadable], name: str, choice: Choice
) -> Iterator[Document | Unreadable]:
    """Turn rows into documents; a file without the columns asked for is one failure."""
    head, columns, no_text, rows = _head(rows, choice)
    if not head:
        raise Unreadable(Reason.NO_TEXT, "there are no rows in it: check that it was saved")
    if columns is None:
        for row in head:
            if isinstance(row, Record):
                raise _no_column(row, choice, no_text)
    for row in chain(head, rows):
        made = _document(row, name, choice, no_text) if isinstance(row, Record) else row
        if isinstance(made, Unreadable):
            made.id = _own_id(row, columns)
        yield made


def _own_id(row: Record | Unreadable, columns: Columns | None) -> str | None:
    """The id in a row that is no document."""
    names = list(row.fields)
    if columns is None or columns.id not in names:
        return None
    if isinstance(row, Unreadable) and names.index(columns.id) > names.index(columns.text):
        return None  # too many fields: what stands behind the text may be a part of it
    return _field(row.fields, columns.id) or None


class _Head(NamedTuple):
    """The first rows, the columns found in them, those that hold no text, and the rows after."""

    rows: list[Record | Unreadable]
    columns: Columns | None
    no_text: frozenset[str]
    rest: Iterator[Record | Unreadable]


def _head(rows: Iterator[Record | Unreadable], choice: Choice) -> _Head:
    """Look for the text, and for every column the user names, in the first rows."""
    rows = _ending_in_reason(rows)
    head: list[Record | Unreadable] = []
    names: dict[str, None] = {}
    numbers: dict[str, bool] = {}  # whether all values of a column so far are
    typed: frozenset[str] = frozenset()
    for row in islice(rows, _ROWS_TO_FIND_TEXT):
        head.append(row)
        if isinstance(row, Record):
            names |= dict.fromkeys(row.fields)
            typed |= row.typed
            for name, value in row.fields.items():
                if value is not None and value != "":
                    numbers[name] = numbers.get(name, True) and is_number(value)
            columns = find_columns(tuple(names), choice, typed)
            sure = columns is not None and not numbers.get(columns.text)
            if sure and names.keys() >= set(choice.names):
                return _Head(head, columns, typed, rows)
    no_text = typed | {name for name, only in numbers.items() if only}
    columns = find_columns(tuple(names), choice, no_text)
    if columns is None or columns.text in no_text or not names.keys() >= set(choice.names):
        columns = None
    return _Head(head, columns, no_text, rows)


def _ending_in_reason(rows: Iterator[Record | Unreadable]) -> Iterator[Record | Unreadable]:
    """Yield the reason a file gave out for as its last row: those before it are kept."""
    try:
        yield from rows
    except Unreadable as reason:
        yield reason


def _no_column(
    row: Record, choice: Choice, no_text: frozenset[str], where: str | None = None
) -> Unreadable:
    names = list(row.fields)
    listed = ", ".join(names[:_MAX_NAMED_COLUMNS]) + (", ..." * (len(names) > _MAX_NAMED_COLUMNS))
    role, missing = next(
        ((role, name) for role, name in choice.named if name not in names), ("text", None)
    )
    wanted = (
        "no column looks like the text" if missing is None else f"no column is called {missing!r}"
    )
    by_name = find_columns(tuple(names), choice)
    if missing is None and by_name is not None and by_name.text in no_text:
        wanted = f"column {by_name.text!r} holds numbers or dates, not text"
    return Unreadable(
        Reason.NO_TEXT_COLUMN,
        f"{wanted}; it has {listed or 'none'}: name the right one with --{role}-column",
        where,
    )


def _document(
    row: Record, name: str, choice: Choice, no_text: frozenset[str]
) -> Document | Unreadable:
    fields = row.fields
    columns = find_columns(tuple(fields), choice, no_text)
    if columns is None:
        return _no_column(row, choice, no_text, row.where)
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
    if title and columns.title and choice.title is None and _FLAG.fullmatch(title):
        # Whether it is one, not which it is.
        title, others = None, (columns.title, *others)
    text, body_start = under_title(title, body)
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
