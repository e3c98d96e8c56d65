"""A run's tables for other programs: CSV, JSON Lines, Excel.

Rows come in the order of the input, and every row ends with `model`, the bundle that made it
(``name@fingerprint``, twelve digits of it). JSON Lines keeps lists and nulls; in CSV and Excel a
list is joined by ``;`` and a null is an empty cell. There, text that a spreadsheet would run as a
formula (it begins with ``=``, ``+``, ``-``, ``@``, a tab or a line break, also in full width) gets
an apostrophe in front.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, Literal

import orjson

from framing.corpus.manifest import RunRefused, read_entries, read_pins, read_progress
from framing.corpus.tables import DOCUMENTS, ERRORS, PASSAGES, Counts
from framing.text.cells import cell

Form = Literal["csv", "jsonl", "xlsx"]
Row = tuple[Any, ...]

#: The rows that a sheet of Excel holds, one of them for the names of the columns.
MAX_SHEET_ROWS = 1_048_576
_MAX_CELL = 32_767
_ROWS_AT_A_TIME = 2048
_CUT = " […]"
# Excel wants a date of creation; the same rows shall give the same bytes.
_CREATED = datetime(2000, 1, 1)


@dataclass(frozen=True, slots=True)
class Exported:
    """How many rows were written, and how many cells were cut to fit a sheet of Excel."""

    rows: int
    cut: int = 0


def export(
    out: Path, form: Form, target: BinaryIO, *, table: str = PASSAGES, partial: bool = False
) -> Exported:
    """Write a table of a run as one file, in memory that does not grow with it.

    Parameters
    ----------
    out
        The folder of the run.
    form, target
        What to write and where to; Excel needs a `target` that can seek.
    table
        "passages", "documents" or "errors".
    partial
        Take a run that is not complete, as far as it has come.

    Raises
    ------
    RunRefused
        `out` is no run, is not complete, has no rows of this kind, or more than Excel holds.
    """
    if read_pins(out) is None:
        raise RunRefused(f"{out} is not the output of a run: name the folder given to framing run")
    progress = read_progress(out)
    if not progress.complete and not partial:
        raise RunRefused(
            f"{out} is not complete ({progress.counts.documents:,} documents so far): run the same "
            "command again to finish it, or export what is there with --partial"
        )
    rows = _row_count(progress.counts, table)
    paths = [
        out / name
        for entry in read_entries(out)
        for name in (entry.files if entry else ())
        if name.startswith(f"{table}/")
    ]
    if not paths:
        raise RunRefused(f"{out} has no {table}: there is nothing to export")
    if form == "xlsx" and rows >= MAX_SHEET_ROWS:
        raise RunRefused(
            f"{out} has {rows:,} {table} and a sheet of Excel holds {MAX_SHEET_ROWS - 1:,}: "
            "export csv, or take --table documents"
        )
    names, model = _head(paths[0])
    cut = _WRITERS[form]([*names, "model"], _rows(paths, model), target)
    return Exported(rows, cut)


def _row_count(counts: Counts, table: str) -> int:
    return {
        PASSAGES: counts.passages,
        DOCUMENTS: counts.scored + counts.copies,
        ERRORS: counts.errors,
    }[table]


def _head(path: Path) -> tuple[list[str], str]:
    """The names of the columns, and the bundle (and first stage) that filled them."""
    import pyarrow.parquet as pq

    schema = pq.read_schema(path)
    made_by = json.loads(schema.metadata[b"framing"])["provenance"]
    bundle, first = made_by["bundle"], made_by.get("first_stage")
    fast = f"+{first['fingerprint'][:12]}" if first else ""
    return schema.names, f"{bundle['name']}@{bundle['fingerprint'][:12]}{fast}"


def _rows(paths: Iterable[Path], model: str) -> Iterator[Row]:
    import pyarrow.parquet as pq

    for path in paths:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(_ROWS_AT_A_TIME):
                columns = [column.to_pylist() for column in batch.columns]
                yield from zip(*columns, [model] * batch.num_rows, strict=True)


def _write_csv(names: Sequence[str], rows: Iterable[Row], out: BinaryIO) -> int:
    text = io.TextIOWrapper(out, "utf-8", newline="", write_through=True)
    # Text is always quoted: left to itself, csv writes a bare carriage return before Python 3.13.
    writer = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    writer.writerow(names)
    writer.writerows([cell(value) for value in row] for row in rows)
    text.detach()
    return 0


def _write_jsonl(names: Sequence[str], rows: Iterable[Row], out: BinaryIO) -> int:
    for row in rows:
        line = dict(zip(names, row, strict=True))
        out.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
    return 0


def _write_xlsx(names: Sequence[str], rows: Iterable[Row], out: BinaryIO) -> int:
    try:
        from xlsxwriter import Workbook
        from xlsxwriter.exceptions import FileCreateError
    except ModuleNotFoundError:
        raise RunRefused('xlsx needs XlsxWriter: pip install "framing[xlsx]"') from None

    cut = 0
    book = Workbook(out, {"constant_memory": True})
    book.set_properties({"created": _CREATED})
    sheet = book.add_worksheet()
    sheet.freeze_panes(1, 0)
    for y, row in enumerate(chain([names], rows)):
        for x, value in enumerate(map(cell, row)):
            if isinstance(value, str):
                cut += len(value) > _MAX_CELL
                sheet.write_string(y, x, _fitted(value))
            elif value is not None:
                sheet.write_number(y, x, value)
    try:
        book.close()
    except FileCreateError as error:  # around the OSError of a full disk
        raise error.args[0] from None
    return cut


def _fitted(value: str) -> str:
    """As much of a text as a cell of Excel holds."""
    return value if len(value) <= _MAX_CELL else value[: _MAX_CELL - len(_CUT)] + _CUT


_WRITERS: dict[Form, Callable[[Sequence[str], Iterable[Row], BinaryIO], int]] = {
    "csv": _write_csv,
    "jsonl": _write_jsonl,
    "xlsx": _write_xlsx,
}
