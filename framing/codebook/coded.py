"""Passages that people (or models) have coded by a codebook: the file a user brings.

A parquet, CSV or JSON Lines file, packed or not, with a row for each passage. `text` holds the
passage. The codes are either one column per label of the codebook (1, 0, yes, no, or the share of
coders who said yes; empty is *not coded*, which is not a no), or one column `labels` with the names
of the labels that hold, separated by ``;`` or as a JSON list (empty is: none holds). `id` and
`document` are read where they are there; every other column stays at hand for breakdowns.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from framing.codebook.codebook import Codebook
from framing.text.bytes_in import Unreadable, chunks

TEXT, LABELS, ID, DOCUMENT = "text", "labels", "id", "document"
NAMES = {"yes": 1.0, "true": 1.0, "no": 0.0, "false": 0.0}
PACKED = {".gz": "gz", ".zst": "zst"}

Row = tuple[str, Mapping[str, Any]]  # where it stands ("line 7"), and its cells by column


class CodedError(ValueError):
    """A file of coded passages that cannot be used; one line names the file and the place."""


@dataclass(frozen=True, slots=True)
class Coded:
    """Coded passages, in the file's order.

    Attributes
    ----------
    labels
        The codebook's labels.
    ids, texts
        One for each of n passages.
    targets
        (n, labels): the share of coders who said yes, NaN where not coded.
    groups
        The document of each passage, the unit of splits and intervals; a passage without one is
        its own.
    columns
        Everything else the file holds, as text, by column.
    """

    labels: tuple[str, ...]
    ids: tuple[str, ...]
    texts: tuple[str, ...]
    targets: NDArray[np.float64]
    groups: tuple[str, ...]
    columns: Mapping[str, tuple[str, ...]]

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, rows: ArrayLike) -> Coded:
        """The passages of these row numbers, or of a mask."""
        index = np.arange(len(self))[np.asarray(rows)]

        def pick(column: Sequence[str]) -> tuple[str, ...]:
            return tuple(column[i] for i in index)

        return Coded(
            labels=self.labels,
            ids=pick(self.ids),
            texts=pick(self.texts),
            targets=self.targets[index],
            groups=pick(self.groups),
            columns={name: pick(column) for name, column in self.columns.items()},
        )


def read_coded(path: str | Path, codebook: Codebook) -> Coded:
    """Read coded passages from a .parquet, .csv, .tsv or .jsonl file, packed or not.

    Labels of the codebook that the file does not hold are not coded (NaN).

    Raises
    ------
    CodedError
        Where the file cannot be read or a row cannot be understood, naming file, row and column.
    """
    path = Path(path)
    with naming(path):
        return _coded(read_rows(path), codebook.names)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Make what is wrong with a file a CodedError of one line that begins with its name."""
    try:
        yield
    except CodedError as error:
        raise CodedError(f"{path}: {error}") from None
    except Unreadable as error:
        raise CodedError(f"{path}: {error.message}") from None
    except UnicodeDecodeError as error:
        raise CodedError(f"{path}: not UTF-8 at byte {error.start}; save it as UTF-8") from None
    except OSError as error:
        raise CodedError(f"{path}: {error.strerror or error}") from None


def read_rows(path: Path) -> list[Row]:
    """The rows of a table that holds at least one; errors as `naming` catches them."""
    packed = PACKED.get(path.suffix.lower())
    reader = _reader(Path(path.stem) if packed else path)
    content = b"".join(chunks(path, packed)) if packed else path.read_bytes()
    rows = list(reader(content))
    if not rows:
        raise CodedError("holds no passages")
    return rows


def columns_of(rows: Sequence[Row]) -> list[str]:
    """All columns, in order; JSON lines need not all hold the same keys."""
    return list(dict.fromkeys(name for _, row in rows for name in row))


def passage_id(text: str) -> str:
    """The id that a passage has by its words alone, whatever their case and punctuation.

    The first 12 hex digits of the SHA-1 of the text, lower-cased, without its non-word characters.
    """
    words = re.sub(r"\W", "", text.lower())
    return hashlib.sha1((words or text).encode("utf-8", "surrogatepass")).hexdigest()[:12]


def _coded(rows: Sequence[Row], names: Sequence[str]) -> Coded:
    columns = columns_of(rows)
    if TEXT not in columns:
        raise CodedError(f"no column {TEXT}; it has {', '.join(columns)}")
    used = label_columns(columns, names)
    ids, texts, groups = [], [], []
    for i, (where, row) in enumerate(rows):
        texts.append(text_of(row, where))
        ids.append(plain(row.get(ID)) or str(i + 1))
        groups.append(plain(row.get(DOCUMENT)) or f"#{i + 1}")
    return Coded(
        labels=tuple(names),
        ids=tuple(ids),
        texts=tuple(texts),
        targets=np.array([codes_of(row, used, names, where) for where, row in rows]),
        groups=tuple(groups),
        columns={
            column: tuple(plain(row.get(column)) for _, row in rows)
            for column in columns
            if column not in {TEXT, ID, DOCUMENT, *used}
        },
    )


def text_of(row: Mapping[str, Any], where: str) -> str:
    """The passage of a row."""
    text = row.get(TEXT)
    if not isinstance(text, str) or not text.strip():
        raise CodedError(f"{where}: column {TEXT} is empty; every row needs a passage")
    return text


def label_columns(columns: Sequence[str], names: Sequence[str]) -> list[str]:
    """The columns that hold codes; refuses what looks like a slip of the pen."""
    used = [name for name in names if name in columns]
    if LABELS in columns and LABELS not in names:
        if used:
            raise CodedError(f"holds codes twice: column {LABELS} and column {used[0]}; drop one")
        return [LABELS]
    missing = [name for name in names if name not in columns]
    for column in columns:
        slip = [] if column in names else get_close_matches(column.lower(), missing, 1, 0.85)
        if slip:
            raise CodedError(f"column {column} looks like the label {slip[0]}; rename it")
    if not used:
        raise CodedError(
            f"no codes: needs a column {LABELS} or one for each label ({', '.join(names)})"
        )
    return used


def codes_of(
    row: Mapping[str, Any], used: Sequence[str], names: Sequence[str], where: str
) -> NDArray[np.float64]:
    """The codes of a row, one for each of the labels `names`, NaN where not coded.

    `used` are the columns found by `label_columns`.
    """
    if list(used) == [LABELS]:
        return _listed(row.get(LABELS), names, where)
    codes = np.full(len(names), np.nan)
    for name in used:
        codes[names.index(name)] = _share(row.get(name), f"{where}, column {name}")
    return codes


def _share(cell: object, where: str) -> float:
    """The share of coders who said yes; NaN where the cell is empty."""
    if isinstance(cell, str):
        cell = cell.strip().lower()
        cell = NAMES.get(cell, cell)
    if cell is None or cell == "":
        return math.nan
    try:
        share = float(cell)  # type: ignore[arg-type] # what is no number lands below
    except (TypeError, ValueError, OverflowError):
        share = math.inf
    if math.isnan(share) or 0 <= share <= 1:
        return share
    raise CodedError(f"{where}: {cell!r} is not 1, 0, a share between or empty")


def _listed(cell: object, names: Sequence[str], where: str) -> NDArray[np.float64]:
    """Ones where the cell names the label; a missing cell (None) is not coded at all."""
    if cell is None:
        return np.full(len(names), np.nan)
    if isinstance(cell, str) and cell.lstrip().startswith("["):
        try:
            cell = json.loads(cell)
        except (ValueError, RecursionError):
            raise CodedError(f"{where}, column {LABELS}: not a JSON list") from None
    held = [part.strip() for part in cell.split(";")] if isinstance(cell, str) else cell
    if not isinstance(held, list) or not all(isinstance(name, str) for name in held):
        raise CodedError(f"{where}, column {LABELS}: needs names separated by ';' or a JSON list")
    held = [name for name in held if name]
    for name in held:
        if name not in names:
            near = get_close_matches(name, names, 1)
            hint = f"; did you mean {near[0]}?" if near else f" ({', '.join(names)})"
            raise CodedError(f"{where}, column {LABELS}: no label {name!r} in the codebook{hint}")
    return np.array([float(name in held) for name in names])


def plain(cell: object) -> str:
    """A cell as text, empty where there is none."""
    return "" if cell is None else str(cell)


def _reader(path: Path) -> Callable[[bytes], Iterator[Row]]:
    readers = {".parquet": _parquet, ".csv": _csv, ".tsv": _csv, ".jsonl": _jsonl}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise CodedError(
            f"not a file of coded passages; it may be {', '.join(readers)}, "
            f"also packed ({', '.join(PACKED)})"
        )
    return reader


def _csv(content: bytes) -> Iterator[Row]:
    file = io.StringIO(content.decode("utf-8-sig"), newline="")
    header = file.readline()
    file.seek(0)
    # Spreadsheets of many countries separate by semicolons.
    table = csv.DictReader(file, delimiter=max(",;\t", key=header.count), strict=True)
    line = 1
    try:
        names = table.fieldnames or []
        for name in names:
            if names.count(name) > 1:
                raise CodedError(f"line 1: two columns are called {name!r}")
        line = table.line_num + 1
        for row in table:
            if None in row or None in row.values():
                raise CodedError(f"line {line}: not the {len(names)} cells of the header")
            yield f"line {line}", row
            line = table.line_num + 1
    except csv.Error as error:
        raise CodedError(f"line {line}: {error}") from None


def _jsonl(content: bytes) -> Iterator[Row]:
    for number, line in enumerate(io.StringIO(content.decode("utf-8-sig"), newline=None), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise CodedError(f"line {number}: not JSON ({error})") from None
        if not isinstance(row, dict):
            raise CodedError(f"line {number}: not a JSON object")
        yield f"line {number}", row


def _parquet(content: bytes) -> Iterator[Row]:
    import pyarrow
    import pyarrow.parquet

    try:
        rows = pyarrow.parquet.read_table(pyarrow.BufferReader(content)).to_pylist()
    except pyarrow.ArrowException as error:
        reason = str(error).splitlines()[0]
        raise CodedError(f"not a parquet file that can be read ({reason})") from None
    for number, row in enumerate(rows, 1):
        yield f"row {number}", row
