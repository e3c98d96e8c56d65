"""What each coder said of each passage: the files that agreement is measured on.

Files as `framing.codebook.coded` reads them, but a row is one coder's: 1, 0, yes, no or empty (*not
coded*), never a share. Either a column `coder` says whose, with several rows to a passage, or every
file is one coder's and its name is the coder's. Rows of one `id` are of one passage; without ids,
rows of one `text` are. The text itself is not needed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from framing.codebook.codebook import Codebook
from framing.codebook.coded import (
    DOCUMENT,
    ID,
    LABELS,
    PACKED,
    TEXT,
    CodedError,
    codes_of,
    columns_of,
    label_columns,
    naming,
    passage_id,
    plain,
    read_rows,
    text_of,
)

CODER = "coder"


@dataclass(frozen=True, slots=True)
class Codes:
    """Codes of several coders: a row for each passage that a coder coded.

    Attributes
    ----------
    labels
        Those of the codebook's labels that the files hold.
    ids, documents
        Of each passage; a passage without a document is its own.
    coders
        Their names, sorted.
    passage, coder
        (n,): which passage, and which coder, each row is of.
    values
        (n, labels): 1 is yes, 0 is no, NaN is not coded.
    columns
        Everything else the files hold, as text, a cell for each row.
    """

    labels: tuple[str, ...]
    ids: tuple[str, ...]
    documents: tuple[str, ...]
    coders: tuple[str, ...]
    passage: NDArray[np.intp]
    coder: NDArray[np.intp]
    values: NDArray[np.float64]
    columns: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class _Row:
    path: Path
    where: str
    id: str
    coder: str
    document: str
    codes: NDArray[np.float64]
    columns: Mapping[str, str]

    def place(self, seen_from: _Row) -> str:
        """Where the row stands, for a reader of another row's line."""
        return self.where if self.path == seen_from.path else f"{self.where} of {self.path}"


def read_codes(paths: Sequence[str | Path], codebook: Codebook) -> Codes:
    """Read the codes of several coders from one file or several.

    A passage that a coder has several rows for is coded once, by all of them together.

    Raises
    ------
    CodedError
        Where a file cannot be read or a row cannot be understood, a coder coded a passage twice
        and differently, or a passage stands in two documents.
    """
    files = [Path(path) for path in paths]
    names = _coder_names(files)
    rows: list[_Row] = []
    held: set[str] = set()
    for path in files:
        with naming(path):
            read, used = _rows(path, names[path], codebook.names, alone=len(files) == 1)
        rows += read
        held |= set(codebook.names if used == [LABELS] else used)
    return _codes(_once_each(rows, codebook.names), codebook.names, held)


def _coder_names(files: Sequence[Path]) -> dict[Path, str]:
    """A coder's name for each file: its name without endings, or its path if two have the same."""
    stems = {}
    for path in files:
        if path in stems:
            raise CodedError(f"{path}: is named twice; one coder's file is enough")
        stems[path] = Path(path.stem).stem if path.suffix.lower() in PACKED else path.stem
    names = list(stems.values())
    return {path: stem if names.count(stem) == 1 else str(path) for path, stem in stems.items()}


def _rows(
    path: Path, coder: str, names: Sequence[str], *, alone: bool
) -> tuple[list[_Row], list[str]]:
    """The rows of a file, and which of its columns hold codes."""
    try:
        table = read_rows(path)
    except FileNotFoundError:
        raise CodedError("no such file: check the name") from None
    columns = columns_of(table)
    has = ", ".join(columns)
    if alone and CODER not in columns:
        raise CodedError(f"no column {CODER}; it has {has}; or name several files, one for a coder")
    if ID not in columns and TEXT not in columns:
        raise CodedError(f"no column {ID} (or {TEXT}) to tell passages apart; it has {has}")
    free = [c for c in columns if c not in {ID, TEXT, DOCUMENT, CODER}]
    used = label_columns(free, names)
    others = [c for c in free if c not in used]
    rows = []
    for where, row in table:
        codes = codes_of(row, used, names, where)
        for name, code in zip(names, codes, strict=True):
            if 0 < code < 1:
                raise CodedError(
                    f"{where}, column {name}: {code:g} is a share; one coder's is 1 or 0"
                )
        told = {c: plain(row.get(c)).strip() for c in columns if c in {ID, CODER}}
        for column, cell in told.items():
            if not cell:
                raise CodedError(f"{where}: column {column} is empty")
        rows.append(
            _Row(
                path=path,
                where=where,
                id=told[ID] if ID in told else passage_id(text_of(row, where)),
                coder=told.get(CODER, coder),
                document=plain(row.get(DOCUMENT)).strip(),
                codes=codes,
                columns={c: plain(row.get(c)) for c in others},
            )
        )
    return rows, used


def _once_each(rows: Iterable[_Row], names: Sequence[str]) -> list[_Row]:
    """One row for each passage of a coder; refuses codes and documents that contradict."""
    found: dict[tuple[str, str], _Row] = {}
    documents: dict[str, _Row] = {}
    for row in rows:
        if row.document:
            first = documents.setdefault(row.id, row)
            if first.document != row.document:
                raise CodedError(
                    f"{row.path}: {row.where}: passage {row.id} is of document {row.document} here "
                    f"and of {first.document} in {first.place(row)}; an id is one passage"
                )
        first = found.setdefault((row.id, row.coder), row)
        if first is row:
            continue
        for name, before, now in zip(names, first.codes, row.codes, strict=True):
            if before != now and not np.isnan([before, now]).any():
                raise CodedError(
                    f"{row.path}: {row.where}: {row.coder} coded passage {row.id} twice, {name} "
                    f"{now:g} here and {before:g} in {first.place(row)}; keep one"
                )
        np.copyto(first.codes, row.codes, where=np.isnan(first.codes))
    return list(found.values())


def _codes(rows: Sequence[_Row], names: Sequence[str], held: set[str]) -> Codes:
    documents = {row.id: row.document for row in rows if row.document}
    ids = list(dict.fromkeys(row.id for row in rows))
    coders = sorted({row.coder for row in rows})
    passage, coder = ({name: i for i, name in enumerate(all_)} for all_ in (ids, coders))
    labels = [name for name in names if name in held]
    columns = dict.fromkeys(column for row in rows for column in row.columns)
    return Codes(
        labels=tuple(labels),
        ids=tuple(ids),
        documents=tuple(documents.get(id_, f"#{i + 1}") for i, id_ in enumerate(ids)),
        coders=tuple(coders),
        passage=np.array([passage[row.id] for row in rows], np.intp),
        coder=np.array([coder[row.coder] for row in rows], np.intp),
        values=np.array([row.codes for row in rows])[:, [name in held for name in names]],
        columns={c: tuple(row.columns.get(c, "") for row in rows) for c in columns},
    )
