"""The tables of a run: what a row is, and rows as the bytes of Parquet files.

passages
    A row for each passage: `source_file`, `position`, `id`, `passage` (its index in the
    document), `start` and `end` (character offsets into the document's text), `kind`, `words`,
    `labels`, `unsure`, a calibrated probability `p_<label>` for every label, of a fast run the
    `stage` that decided it (1 the first stage, 2 the encoder), and `text` where the run includes
    it.
documents
    A row for each scored document and each copy of one: `source_file`, `position`, `id`,
    `title`, `source`, `author`, `language`, `date`, `body_start`, `copy_of_file` and
    `copy_of_position` (null but for a near-copy, which is not scored again: all after them is
    null then), `passages` and `words` of the story, `set_aside_passages` and `set_aside_words`
    beside it, `read_share`, `warnings`, and for every label but the one set aside
    `share_<label>`, `word_share_<label>` and `unsure_<label>`, shares of the story.
errors
    A row for each document that could not be scored: `source_file`, `position`, `id`, `reason`
    (of the closed list `framing.text.document.Reason`), `message`, `where`.

The key of a row is (`source_file`, `position`): the name of the input file and the number of the
record in it, from 0. Every file carries its provenance in the Arrow schema's metadata, as JSON
under `framing`. The same rows give the same bytes.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict, astuple, dataclass
from typing import TYPE_CHECKING, Any

from framing.model.scored import Provenance, ScoredDocument, ScoredPassage
from framing.text.document import Document, Failure

if TYPE_CHECKING:
    import pyarrow as pa

SCHEMA = "framing.run/1"
PASSAGES, DOCUMENTS, ERRORS = NAMES = ("passages", "documents", "errors")

_STRING_COLUMNS = ("title", "source", "author", "language", "date")
_COUNTS = ("passages", "words", "set_aside_passages", "set_aside_words")


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of documents; `passages` counts those of the scored ones."""

    scored: int = 0
    copies: int = 0
    errors: int = 0
    passages: int = 0

    @property
    def documents(self) -> int:
        """How many there were."""
        return self.scored + self.copies + self.errors

    def __add__(self, other: Counts) -> Counts:
        return Counts(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))

    def to_dict(self) -> dict[str, int]:
        """As JSON-ready data."""
        return {"documents": self.documents, **asdict(self)}


@dataclass(frozen=True, slots=True)
class Tables:
    """The Parquet files of a shard, by the name of the table; no `errors` where there are none."""

    counts: Counts
    files: Mapping[str, bytes]


def schema(
    table: str,
    labels: tuple[str, ...],
    set_aside: str | None,
    include_text: bool,
    provenance: Provenance,
) -> pa.Schema:
    """The Arrow schema of one of the three tables."""
    import pyarrow as pa

    text, short, real = pa.string(), pa.int32(), pa.float64()
    fields: dict[str, Any] = {"source_file": text, "position": pa.int64(), "id": text}
    if table == PASSAGES:
        fields |= dict.fromkeys(("passage", "start", "end"), short) | {"kind": text, "words": short}
        fields |= dict.fromkeys(("labels", "unsure"), pa.list_(text))
        fields |= dict.fromkeys((f"p_{label}" for label in labels), real)
        fields |= {"stage": pa.int8()} if provenance.first_stage else {}
        fields |= {"text": text} if include_text else {}
    elif table == DOCUMENTS:
        fields |= dict.fromkeys(_STRING_COLUMNS, text) | {"body_start": short}
        fields |= {"copy_of_file": text, "copy_of_position": pa.int64()}
        fields |= dict.fromkeys(_COUNTS, short) | {"read_share": real, "warnings": pa.list_(text)}
        for share in ("share", "word_share", "unsure"):
            fields |= dict.fromkeys((f"{share}_{x}" for x in labels if x != set_aside), real)
    else:
        fields |= dict.fromkeys(("reason", "message", "where"), text)
    about = {"schema": SCHEMA, "table": table, "provenance": provenance.to_dict()}
    return pa.schema(fields.items(), {"framing": json.dumps(about, sort_keys=True)})


class Rows:
    """Collects the rows of one shard.

    Parameters
    ----------
    schemas
        For each table its schema.
    """

    def __init__(self, schemas: Mapping[str, pa.Schema]) -> None:
        self._schemas = schemas
        self._columns: dict[str, dict[str, list[Any]]] = {t: defaultdict(list) for t in schemas}
        self._scored = self._copies = self._errors = self._passages = 0

    def scored(self, file: str, position: int, scored: ScoredDocument) -> None:
        """Take in a document and its passages."""
        document, profile = scored.document, scored.profile
        key = {"source_file": file, "position": position, "id": document.id}
        row = key | _about(document) | {name: getattr(profile, name) for name in _COUNTS}
        row |= {"read_share": scored.read_share, "warnings": scored.warnings}
        for label, share in profile.labels.items():
            row[f"share_{label}"] = share.passages
            row[f"word_share_{label}"] = share.words
            row[f"unsure_{label}"] = share.unsure
        self._add(DOCUMENTS, row)
        for number, passage in enumerate(scored.passages):
            self._add(PASSAGES, key | {"passage": number} | _passage(passage))
        self._scored += 1
        self._passages += len(scored.passages)

    def copy(self, file: str, position: int, document: Document, first: tuple[str, int]) -> None:
        """Take in a near-copy of a document that has its own row."""
        row = {"source_file": file, "position": position, "id": document.id, **_about(document)}
        self._add(DOCUMENTS, row | {"copy_of_file": first[0], "copy_of_position": first[1]})
        self._copies += 1

    def failed(self, file: str, position: int, failure: Failure) -> None:
        """Take in what could not be scored."""
        row = {"source_file": file, "position": position, **failure.to_dict()}
        self._add(ERRORS, row)
        self._errors += 1

    def tables(self) -> Tables:
        """All rows as Parquet."""
        counts = Counts(self._scored, self._copies, self._errors, self._passages)
        wanted = NAMES if counts.errors else (PASSAGES, DOCUMENTS)
        return Tables(counts, {table: self._parquet(table) for table in wanted})

    def _add(self, table: str, row: Mapping[str, Any]) -> None:
        columns = self._columns[table]
        for name in self._schemas[table].names:
            columns[name].append(row.get(name))

    def _parquet(self, table: str) -> bytes:
        import pyarrow as pa
        import pyarrow.parquet as pq

        schema, columns = self._schemas[table], self._columns[table]
        arrays = [_array(columns[field.name], field.type) for field in schema]
        out = pa.BufferOutputStream()
        pq.write_table(pa.Table.from_arrays(arrays, schema=schema), out, compression="zstd")
        return bytes(out.getvalue())


def _about(document: Document) -> dict[str, Any]:
    names = (*_STRING_COLUMNS, "body_start")
    return {name: getattr(document, name) for name in names}


def _passage(passage: ScoredPassage) -> dict[str, Any]:
    row = {f"p_{p.label}": p.probability for p in passage.predictions}
    return row | {
        "start": passage.start,
        "end": passage.end,
        "kind": str(passage.kind),
        "words": passage.words,
        "labels": passage.labels,
        "unsure": passage.unsure,
        "stage": passage.stage,
        "text": passage.text,
    }


def _array(values: list[Any], kind: pa.DataType) -> pa.Array:
    import pyarrow as pa

    try:
        return pa.array(values, kind)
    except UnicodeEncodeError:  # half a character, as in a file name that is not UTF-8
        return pa.array([_whole(value) for value in values], kind)


def _whole(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    return [_whole(part) for part in value] if isinstance(value, (list, tuple)) else value
