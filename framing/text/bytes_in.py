"""From files to bytes: decompression, within limits."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Iterable, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from framing.text.document import Failure, Reason

#: The most bytes one text, page or PDF may hold, after decompression.
MAX_FILE_BYTES = 64 * 2**20
#: A packed file may unpack to so many times its size; gzip reaches 1,000 with nothing but zeros.
MAX_RATIO = 500

_RATIO_FROM_BYTES = 8 * 2**20
_CHUNK = 1 << 16
_PACKED = ((b"\x1f\x8b", "gz"), (b"\x28\xb5\x2f\xfd", "zst"))


class Unreadable(Exception):  # noqa: N818 - a reason on its way to becoming a Failure
    """Why a file, or one place in it, cannot be read; `fields` are what a bad row still tells."""

    def __init__(
        self,
        reason: Reason,
        message: str,
        where: str | None = None,
        fields: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.reason, self.message, self.where, self.fields = reason, message, where, fields or {}
        self.id: str | None = None

    def failure(self, path: str) -> Failure:
        """Say it about a file."""
        return Failure(path, self.reason, self.message, self.where, self.id)


def chunks(path: Path | None, compression: str | None) -> Iterator[bytes]:
    """Yield the bytes of a file, decompressed, piece by piece.

    Parameters
    ----------
    path
        The file; None is standard input, which is unpacked where it begins as packed data does.
    compression
        "gz", "zst" or None, of a file.

    Raises
    ------
    Unreadable
        Where the file cannot be opened or read, or its compression is damaged or cut short;
        whatever came before has been yielded by then.
    """
    if path is None:
        piped = _Piped(sys.stdin.buffer)
        yield from _unpacked(piped, piped.compression)
        return
    try:
        with path.open("rb") as file:
            yield from _unpacked(file, compression)
    except FileNotFoundError:
        raise Unreadable(Reason.NOT_FOUND, "no such file: check the name") from None
    except IsADirectoryError:
        raise Unreadable(
            Reason.IS_DIRECTORY, "this is a directory: name the files in it, as in DIR/*"
        ) from None
    except PermissionError:
        raise Unreadable(Reason.UNREADABLE, "no permission to read it: check its mode") from None
    except OSError as error:
        raise Unreadable(
            Reason.UNREADABLE, f"reading failed ({error.strerror or error}): copy the file again"
        ) from None


class _Source(Protocol):
    """What bytes are read from, and how far."""

    def read(self, size: int, /) -> bytes: ...

    def tell(self) -> int: ...


class _Piped:
    """A stream that cannot go back: what it begins with is looked at first."""

    def __init__(self, stream: _Source) -> None:
        self._stream, self._waiting, self._taken = stream, stream.read(_CHUNK), 0

    @property
    def compression(self) -> str | None:
        """The compression that its first bytes are the mark of."""
        return next((c for magic, c in _PACKED if self._waiting.startswith(magic)), None)

    def read(self, size: int, /) -> bytes:
        """The next bytes, `size` of them or, at first, as many as were looked at."""
        piece, self._waiting = self._waiting or self._stream.read(size), b""
        self._taken += len(piece)
        return piece

    def tell(self) -> int:
        """How many bytes were read."""
        return self._taken


def _unpacked(file: _Source, compression: str | None) -> Iterator[bytes]:
    match compression:
        case "gz":
            yield from _no_bomb(_gunzip(file), file)
        case "zst":
            yield from _no_bomb(_unzstd(file), file)
        case _:
            yield from iter(lambda: file.read(_CHUNK), b"")


def _no_bomb(pieces: Iterator[bytes], packed: _Source) -> Iterator[bytes]:
    """Pass on what unpacks to a size that text could have."""
    size = 0
    for piece in pieces:
        size += len(piece)
        if size > _RATIO_FROM_BYTES and size > MAX_RATIO * packed.tell():
            raise Unreadable(
                Reason.TOO_LARGE,
                f"unpacks to more than {MAX_RATIO} times its size: no text does; if it is meant, "
                "unpack it first",
            )
        yield piece


def _cut_short(kind: str) -> Unreadable:
    return Unreadable(
        Reason.TRUNCATED, f"the {kind} data ends too early: copy or download the file again"
    )


def _damaged(kind: str) -> Unreadable:
    return Unreadable(
        Reason.MALFORMED,
        f"this is not sound {kind} data: copy it again, or drop the suffix if it is not packed",
    )


def _gunzip(file: _Source) -> Iterator[bytes]:
    unpacker = zlib.decompressobj(31)
    started = False
    for packed in iter(lambda: file.read(_CHUNK), b""):
        while packed:
            if unpacker.eof:  # another member follows, or zero padding
                packed = packed.lstrip(b"\0")
                if not packed:
                    break
                unpacker = zlib.decompressobj(31)
            started = True
            try:
                piece = unpacker.decompress(packed, _CHUNK)
            except zlib.error:
                raise _damaged("gzip") from None
            if piece:
                yield piece
            packed = unpacker.unused_data if unpacker.eof else unpacker.unconsumed_tail
    if started and not unpacker.eof:
        # Output may still wait inside where the input is used up.
        while piece := unpacker.decompress(b"", _CHUNK):
            yield piece
        if not unpacker.eof:
            raise _cut_short("gzip")


def _unzstd(file: _Source) -> Iterator[bytes]:
    zstd = _zstd()
    unpacker = None
    for packed in iter(lambda: file.read(_CHUNK), b""):
        while packed:
            unpacker = unpacker or zstd.ZstdDecompressor()
            try:
                piece = unpacker.decompress(packed, _CHUNK)
                while piece:
                    yield piece
                    waiting = not (unpacker.eof or unpacker.needs_input)
                    piece = unpacker.decompress(b"", _CHUNK) if waiting else b""
            except zstd.ZstdError:
                raise _damaged("zstd") from None
            packed = b""
            if unpacker.eof:
                packed, unpacker = unpacker.unused_data, None
    if unpacker is not None:
        raise _cut_short("zstd")


def _zstd() -> Any:
    """The standard library's zstd, or its backport before Python 3.14."""
    name = "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"
    return import_module(name)


def not_empty(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Pass pieces on; raises Unreadable where there is none."""
    first = next(pieces, None)
    if first is None:
        raise Unreadable(Reason.EMPTY, "the file is empty: check that it was saved")
    yield first
    yield from pieces


def read_all(pieces: Iterable[bytes], limit: int = MAX_FILE_BYTES) -> bytes:
    """Join pieces into one block, and stop as soon as it outgrows `limit` bytes."""
    whole = bytearray()
    for piece in pieces:
        whole += piece
        if len(whole) > limit:
            raise Unreadable(
                Reason.TOO_LARGE,
                f"more than {limit // 2**20} MB of text in one document: split it, "
                "one article to a file, or one to a line of .jsonl",
            )
    return bytes(whole)
