"""Rows of .jsonl, .json, .csv and .tsv files, one at a time.

Each reader yields a `Record`, or an `Unreadable` for a row that cannot be read (the rows after it
still are), and raises `Unreadable` where the file itself gives out.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from framing.text.bytes_in import Unreadable, read_all
from framing.text.document import Reason
from framing.text.encodings import decode, encoding_warning, text_stream, undecoded

#: The most characters one row may hold.
MAX_ROW_CHARACTERS = 16 * 2**20
#: The most blank lines in a row that are passed over.
MAX_BLANK_LINES = 1_000_000

_SKIP = 1 << 20
_DELIMITERS = ",;\t|"
_HEADER_CHARACTERS = 1 << 16


@dataclass(frozen=True, slots=True)
class Record:
    """One row: its number counting from 1 (for .jsonl its line), its place in words, its fields.

    `typed` are the fields that the file says are no text: numbers, dates, truth values.
    """

    number: int
    where: str | None
    fields: Mapping[str, Any]
    warnings: tuple[str, ...] = ()
    typed: frozenset[str] = frozenset()


# --- JSON -------------------------------------------------------------------------------------


def json_lines(pieces: Iterator[bytes]) -> Iterator[Record | Unreadable]:
    """Read one JSON object to a line; blank lines are passed over."""
    stream, encoding = text_stream(pieces, newline="\n")
    warnings = encoding_warning(encoding)
    blank = 0
    for number, line in enumerate(_bounded_lines(stream), 1):
        if line is not None and line.isspace():
            blank = _counted(blank)
            continue
        where, blank = f"line {number}", 0
        if line is None:
            yield Unreadable(Reason.TOO_LARGE, too_long("the line"), where)
        elif undecoded(line):
            yield Unreadable(Reason.ENCODING, not_in(encoding), where)
        else:
            try:
                yield Record(number, where, _json_object(line), warnings)
            except Unreadable as reason:
                yield Unreadable(reason.reason, reason.message, where)


def begins_json_lines(head: bytes) -> bool:
    """Whether the first line is a JSON object, whatever the encoding of its strings."""
    return _is_json_object(head.partition(b"\n")[0].decode("utf-8", "replace"))


def holds_json(data: bytes) -> bool:
    """Whether data as a whole is a JSON object, or an array of objects."""
    import orjson

    try:
        content = orjson.loads(data.decode("utf-8-sig", "replace"))
    except orjson.JSONDecodeError:
        return False
    several = isinstance(content, list) and bool(content)
    return isinstance(content, dict) or (several and all(isinstance(x, dict) for x in content))


def json_file(pieces: Iterator[bytes]) -> Iterator[Record | Unreadable]:
    """Read a JSON array of objects, or one object; lines of JSON under that name are read too."""
    import orjson

    data = read_all(pieces)
    text, encoding = decode(data)
    warnings = encoding_warning(encoding)
    try:
        content = orjson.loads(text.removeprefix("\ufeff"))
    except orjson.JSONDecodeError as error:
        if _is_json_object(text.lstrip().partition("\n")[0]):
            yield from json_lines(iter([data]))
            return
        raise Unreadable(
            Reason.MALFORMED, _bad_json(error), f"line {getattr(error, 'lineno', 1)}"
        ) from None
    if isinstance(content, dict):
        yield Record(1, None, content, warnings)
        return
    if not isinstance(content, list):
        raise Unreadable(Reason.MALFORMED, "holds neither a JSON object nor an array of objects")
    for number, item in enumerate(content, 1):
        where = f"row {number}"
        if isinstance(item, dict):
            yield Record(number, where, item, warnings)
        else:
            yield Unreadable(Reason.MALFORMED, _NO_OBJECT, where)


_NO_OBJECT = 'expected a JSON object such as {"text": "..."}'


def _json_object(line: str) -> dict[str, Any]:
    import orjson

    try:
        content = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise Unreadable(Reason.MALFORMED, _bad_json(error)) from None
    if not isinstance(content, dict):
        raise Unreadable(Reason.MALFORMED, _NO_OBJECT)
    return content


def _is_json_object(line: str) -> bool:
    try:
        _json_object(line)
    except Unreadable:
        return False
    return True


def _bad_json(error: json.JSONDecodeError) -> str:
    reason = re.sub(r": line \d+ column \d+.*", "", str(error))
    return f"malformed JSON at column {error.colno} ({reason}): mend or drop it"


# --- CSV --------------------------------------------------------------------------------------


def csv_rows(
    pieces: Iterator[bytes], delimiter: str | None, likely: Callable[[str], bool]
) -> Iterator[Record | Unreadable]:
    """Read rows under a header.

    Parameters
    ----------
    pieces
        The bytes.
    delimiter
        Between the fields; None to find out from the header.
    likely
        Whether a name is one a column would have: this tells a right delimiter from a wrong one.
    """
    stream, encoding = text_stream(pieces, newline="")
    lines = _RowLines(stream)
    lines.peek = stream.readline(_HEADER_CHARACTERS)
    delimiter = delimiter or _sniff_delimiter(lines.peek, likely)
    # Process-wide in the standard library; rows are held to our own limit.
    csv.field_size_limit(max(csv.field_size_limit(), MAX_ROW_CHARACTERS + 1))
    rows = csv.reader(lines, delimiter=delimiter)
    header = _next_row(rows, lines, encoding)
    if isinstance(header, Unreadable):
        raise header
    if header is None:
        return
    names = [name.strip() for name in header]
    number = blank = 0
    while (row := _next_row(rows, lines, encoding)) is not None:
        if row == []:
            blank = _counted(blank)
            continue
        number, blank = number + 1, 0
        where = f"row {number} (line {lines.first})"
        if isinstance(row, Unreadable):
            yield Unreadable(row.reason, row.message, where)
        elif len(row) > len(names):
            yield Unreadable(
                Reason.MALFORMED,
                f"{len(row)} fields where the header has {len(names)}: quote texts that hold "
                f"{delimiter!r}",
                where,
                dict(zip(names, row, strict=False)),
            )
        else:
            short = (f"{len(row)} fields where the header has {len(names)}",)
            warnings = encoding_warning(encoding) + (short if len(row) < len(names) else ())
            fields: dict[str, str] = {}
            for name, cell in zip(names, row, strict=False):
                fields.setdefault(name, cell)  # of two columns with one name the first counts
            yield Record(number, where, fields, warnings)


class _RowLines:
    """The lines of a CSV file for `csv.reader`, which count and limit what one row takes."""

    def __init__(self, stream: io.TextIOWrapper) -> None:
        self.stream, self.peek = stream, ""
        self.first = self.number = self.taken = 0
        self.ended = False

    def __iter__(self) -> _RowLines:
        return self

    def begin_row(self) -> None:
        self.taken, self.first = 0, self.number + 1

    def __next__(self) -> str:
        room = MAX_ROW_CHARACTERS - self.taken
        line = self.peek
        if not line.endswith(("\n", "\r")):
            line += self.stream.readline(room + 1)
        self.peek = ""
        if not line:
            self.ended = True
            raise StopIteration
        self.number += 1
        if len(line) > room:
            if not line.endswith("\n"):
                _skip_line(self.stream)
            raise Unreadable(
                Reason.TOO_LARGE, too_long("the row") + ", and look for a quote never closed"
            )
        self.taken += len(line)
        return line


def _next_row(
    rows: Iterator[list[str]], lines: _RowLines, encoding: str
) -> list[str] | Unreadable | None:
    """The next row, why it cannot be read, or None at the end."""
    lines.begin_row()
    try:
        row = next(rows)
    except StopIteration:
        return None
    except Unreadable as reason:
        if reason.reason is not Reason.TOO_LARGE:
            raise  # the file gave out
        return reason
    except csv.Error as error:
        return Unreadable(Reason.MALFORMED, f"malformed CSV ({error}): mend or drop the row")
    if lines.ended:  # the reader asked for more inside a row
        return Unreadable(Reason.MALFORMED, 'a quote (") opens here and is never closed: close it')
    whole = "".join(row)
    if "\0" in whole:
        return Unreadable(Reason.MALFORMED, "holds a NUL byte: remove it")
    if undecoded(whole):
        return Unreadable(Reason.ENCODING, not_in(encoding))
    return row


def _sniff_delimiter(header: str, likely: Callable[[str], bool]) -> str:
    """The delimiter under which the header shows most known names, then most columns."""

    def score(delimiter: str) -> tuple[int, int]:
        cells = next(csv.reader([header], delimiter=delimiter), [])
        return sum(map(likely, cells)), len(cells)

    return max(_DELIMITERS, key=score)


# --- shared -----------------------------------------------------------------------------------


def _bounded_lines(stream: io.TextIOWrapper) -> Iterator[str | None]:
    """Yield lines; None stands for one that is too long, which is passed over in little memory."""
    while line := stream.readline(MAX_ROW_CHARACTERS + 1):
        if len(line) > MAX_ROW_CHARACTERS:
            if not line.endswith("\n"):
                _skip_line(stream)
            yield None
        else:
            yield line


def _skip_line(stream: io.TextIOWrapper) -> None:
    while (piece := stream.readline(_SKIP)) and not piece.endswith(("\n", "\r")):
        pass


def _counted(blank: int) -> int:
    """Count one more blank line; so many in a row are a bomb, or no file of records."""
    if blank == MAX_BLANK_LINES:
        raise Unreadable(
            Reason.MALFORMED,
            f"more than {MAX_BLANK_LINES:,} empty lines in a row: check the file",
        )
    return blank + 1


def too_long(what: str) -> str:
    """Say that a line or row is."""
    return f"{what} is longer than {MAX_ROW_CHARACTERS // 2**20} million characters: split it"


def not_in(encoding: str) -> str:
    """Say that a row has bytes outside its encoding."""
    return f"holds bytes that do not read as {encoding}: save the file as UTF-8"
