"""Scored documents as records for other programs: JSON, JSON Lines and CSV.

`scored.schema.json` beside this module describes the JSON document; a line of JSON Lines is one
of its documents or one of its errors, after a first line with schema and provenance. The same
input, bundle and options give the same bytes.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from framing.model.scored import Provenance, ScoredDocument
from framing.text.cells import cell
from framing.text.document import Failure

SCHEMA = "framing.scored/1"
SCHEMA_FILE = Path(__file__).with_name("scored.schema.json")

_DECIMALS = 6
_COLUMNS = (
    "document_id", "title", "source", "date", "start", "end", "kind", "text", "labels", "unsure",
)  # fmt: skip

Results = Iterable[ScoredDocument | Failure]


def write_json(results: Results, provenance: Provenance, out: BinaryIO) -> None:
    """Write one JSON document; scored documents stream, errors are kept for the end."""
    errors: list[Failure] = []
    out.write(_member(b"{\n", "schema", SCHEMA))
    out.write(_member(b",\n", "provenance", provenance.to_dict()))
    out.write(b',\n  "documents": [')
    separator = b"\n"
    for result in results:
        if isinstance(result, Failure):
            errors.append(result)
            continue
        out.write(separator + b"    " + _indented(_document(result), b"    "))
        separator = b",\n"
    out.write(b"\n  ]" if separator == b",\n" else b"]")
    out.write(_member(b",\n", "errors", [error.to_dict() for error in errors]) + b"\n}\n")


def write_jsonl(results: Results, provenance: Provenance, out: BinaryIO) -> None:
    """Write schema and provenance on the first line, then a line for each document or error."""
    for row in _lines(results, provenance):
        out.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))
        out.flush()


def write_csv(
    results: Results, provenance: Provenance, labels: Sequence[str], out: BinaryIO
) -> None:
    """Write a row for each passage; documents that failed have none.

    Text that a spreadsheet would take for a formula (it begins with ``=``, ``+``, ``-``, ``@``, a
    tab or a line break) gets an apostrophe in front. `labels` and `unsure` are joined by
    ``;``; a column ``p_<label>`` holds the calibrated probability of each label.
    """
    buffer = io.StringIO(newline="")
    # Text is always quoted: left to itself, csv writes a bare carriage return before Python 3.13.
    writer = csv.writer(buffer, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    model = f"{provenance.bundle}@{provenance.bundle_fingerprint[:12]}"
    writer.writerow([*_COLUMNS, *(f"p_{label}" for label in labels), "model"])
    for result in results:
        if isinstance(result, ScoredDocument):
            for row in _passage_rows(result):
                writer.writerow([cell(value) for value in (*row, model)])
        out.write(buffer.getvalue().encode())
        buffer.seek(0)
        buffer.truncate()
    out.write(buffer.getvalue().encode())  # the header, where there was no result at all


def _lines(results: Results, provenance: Provenance) -> Iterator[dict[str, Any]]:
    yield {"schema": SCHEMA, "provenance": provenance.to_dict()}
    for result in results:
        if isinstance(result, Failure):
            yield {"error": result.to_dict()}
        else:
            yield _document(result)


def _document(scored: ScoredDocument) -> dict[str, Any]:
    rounded: dict[str, Any] = _rounded(scored.to_dict())
    return rounded


def _passage_rows(scored: ScoredDocument) -> Iterator[tuple[Any, ...]]:
    document = scored.document
    for passage in scored.passages:
        yield (
            document.id,
            document.title,
            document.source,
            document.date,
            passage.start,
            passage.end,
            str(passage.kind),
            passage.text,
            passage.labels,
            passage.unsure,
            *map(_rounded, passage.probabilities.values()),
        )


def _rounded(value: Any) -> Any:
    """Plain data with every float to six decimals, as the model rounds before it decides."""
    if isinstance(value, float):
        return round(float(value), _DECIMALS)
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    return [_rounded(item) for item in value] if isinstance(value, list) else value


def _member(before: bytes, key: str, value: Any) -> bytes:
    return before + b"  " + orjson.dumps(key) + b": " + _indented(_rounded(value), b"  ")


def _indented(value: Any, indent: bytes) -> bytes:
    """JSON over several lines, all but the first set in by `indent`."""
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).replace(b"\n", b"\n" + indent)
