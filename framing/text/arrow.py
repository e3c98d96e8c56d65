"""Rows of Parquet and Arrow files, one at a time, in little memory."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from framing.text.bytes_in import Unreadable, chunks
from framing.text.document import Reason
from framing.text.records import MAX_ROW_CHARACTERS, Record, too_long

if TYPE_CHECKING:
    import pyarrow as pa

#: The most bytes a packed file may unpack to (it is unpacked to a temporary file).
MAX_UNPACKED_BYTES = 2**30

_ROWS_AT_A_TIME = 64
_READ_AHEAD = 1 << 20  # a column's part of a row group is read by pieces, however large it is
_FILE_MAGIC = b"ARROW1"


def parquet_rows(path: Path, compression: str | None) -> Iterator[Record | Unreadable]:
    """Read the scalar columns of a Parquet file."""
    import pyarrow.parquet as pq

    with _opened(path, compression, "Parquet") as source:
        file = pq.ParquetFile(source, buffer_size=_READ_AHEAD)
        names = _scalar(file.schema_arrow)
        # Threads would read columns ahead of their turn.
        batches = file.iter_batches(_ROWS_AT_A_TIME, columns=names, use_threads=False)
        yield from _records(names, batches)


def arrow_rows(path: Path, compression: str | None) -> Iterator[Record | Unreadable]:
    """Read the scalar columns of an Arrow file or stream, as `datasets` saves them."""
    import pyarrow as pa

    with _opened(path, compression, "Arrow") as source:
        magic = source.read(len(_FILE_MAGIC))
        source.seek(0)
        if magic == _FILE_MAGIC:
            file = pa.ipc.open_file(source)
            schema, batches = file.schema, map(file.get_batch, range(file.num_record_batches))
        else:
            schema = (stream := pa.ipc.open_stream(source)).schema
            batches = iter(stream)
        names = _scalar(schema)
        slices = (
            batch.slice(begin, _ROWS_AT_A_TIME).select(names)
            for batch in batches
            for begin in range(0, batch.num_rows, _ROWS_AT_A_TIME)
        )
        yield from _records(names, slices)


def rows_counted(path: Path) -> int | None:
    """How many rows the file's own count says it has; None where it has none, or is damaged."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        if path.suffix.lower() == ".parquet":
            return int(pq.read_metadata(path).num_rows)
        if path.suffix.lower() == ".arrow":
            with path.open("rb") as file:
                return sum(int(batch.num_rows) for batch in pa.ipc.open_stream(file))
    except (pa.ArrowException, MemoryError, OSError):
        pass
    return None


@contextmanager
def _opened(path: Path, compression: str | None, kind: str) -> Iterator[IO[bytes]]:
    """A file to seek in, and pyarrow's complaints about it as the reason it gives out."""
    import pyarrow as pa

    with ExitStack() as stack:
        source: IO[bytes]
        if compression:
            source = stack.enter_context(tempfile.TemporaryFile())
            _unpack(chunks(path, compression), source)
        else:
            source = stack.enter_context(path.open("rb"))
        try:
            yield source
        except MemoryError:
            raise Unreadable(
                Reason.TOO_LARGE,
                f"a part of this {kind} file does not fit into memory: write it in smaller "
                "row groups or batches",
            ) from None
        except (pa.ArrowException, OSError) as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
            raise Unreadable(
                Reason.MALFORMED, f"not sound {kind} ({reason:.120}): copy or write it again"
            ) from None


def _unpack(pieces: Iterator[bytes], file: IO[bytes]) -> None:
    for piece in pieces:
        file.write(piece)
        if file.tell() > MAX_UNPACKED_BYTES:
            raise Unreadable(
                Reason.TOO_LARGE,
                f"unpacks to more than {MAX_UNPACKED_BYTES // 2**20} MB: unpack it first",
            )
    file.seek(0)


def _scalar(schema: pa.Schema) -> list[str]:
    """The columns that hold a value in each cell, not a list or a structure."""
    import pyarrow as pa

    return [field.name for field in schema if not pa.types.is_nested(field.type)]


def _is_text(kind: pa.DataType) -> bool:
    """Whether a type is none of numbers, dates and truth values."""
    import pyarrow as pa

    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return not (pa.types.is_primitive(kind) or pa.types.is_decimal(kind))


def _records(names: list[str], batches: Iterator[pa.RecordBatch]) -> Iterator[Record | Unreadable]:
    number = 0
    for batch in batches:
        typed = frozenset(f.name for f in batch.schema if not _is_text(f.type))
        for cells in zip(*map(_as_bytes, batch.columns), strict=True):
            number += 1
            where = f"row {number}"
            if sum(len(cell) for cell in cells if cell) > MAX_ROW_CHARACTERS:
                yield Unreadable(Reason.TOO_LARGE, too_long("the row"), where)
            else:
                fields = dict(zip(names, map(_decoded, cells), strict=True))
                yield Record(number, where, fields, typed=typed)


def _as_bytes(column: pa.Array) -> list[bytes | None]:
    """Every value as the UTF-8 of its text, decoded later, row by row; NaN is missing."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_floating(column.type):
        column = pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
    if not pa.types.is_large_binary(column.type) and not pa.types.is_binary(column.type):
        try:
            column = column.cast(pa.large_string())
        except pa.ArrowNotImplementedError:  # a type without text, such as a duration
            return [None] * len(column)
    values: list[bytes | None] = column.cast(pa.large_binary()).to_pylist()
    return values


def _decoded(cell: bytes | None) -> Any:
    """A cell as text; bytes that are none stay bytes, which only the text column minds."""
    try:
        return cell if cell is None else cell.decode()
    except UnicodeDecodeError:
        return cell
