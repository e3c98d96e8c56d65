"""Pages in a web archive (WARC, and the WET files of its plain text), one at a time."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from framing.text.bytes_in import Unreadable, chunks
from framing.text.document import Failure, Reason
from framing.text.encodings import Pieces

#: The most bytes one page may hold, unpacked.
MAX_PAGE_BYTES = 16 * 2**20

_PIECE = 1 << 16
_KINDS = {
    "": None,
    "text/html": "html",
    "application/xhtml+xml": "html",
    "text/plain": "text",
    "application/pdf": "pdf",
}
_COMPRESSIONS = {".gz": "gz", ".zst": "zst"}


@dataclass(frozen=True, slots=True)
class Page:
    """What an archive holds of one address.

    Attributes
    ----------
    name
        The archive it comes from, for messages.
    url, date
        Where and when (ISO 8601) it was fetched.
    data
        The bytes the server sent, unpacked.
    kind
        "html", "text" or "pdf"; None where the server did not say.
    charset
        The encoding, where the server said.
    """

    name: str
    url: str
    date: str
    data: bytes
    kind: str | None
    charset: str | None


def pages(path: Path, name: str) -> Iterator[Page | Failure]:
    """Read the pages, texts and PDFs that servers sent; all other records are passed over.

    Responses with a status other than 200 are none, nor are images, scripts and the like. Where
    the archive gives out, what comes last is a `Failure`.
    """
    try:
        from warcio.archiveiterator import ArchiveIterator
    except ImportError:
        yield Failure(
            name,
            Reason.UNSUPPORTED,
            'reading web archives takes one more package: pip install "framing[warc]"',
        )
        return
    stopped: list[Unreadable] = []

    def unpacked() -> Iterator[bytes]:
        """What can be unpacked: why no more can be is told after what came before."""
        try:
            yield from chunks(path, _COMPRESSIONS.get(path.suffix.lower()))
        except Unreadable as reason:
            stopped.append(reason)

    records = found = 0
    try:
        for record in ArchiveIterator(io.BufferedReader(Pieces(unpacked()), _PIECE)):
            records += 1
            page = _page(record, name)
            if page is not None:
                found += 1
                yield page
    except Unreadable as reason:
        stopped.append(reason)
    except Exception as error:  # whatever a parser makes of hostile bytes
        what = " ".join(f"{type(error).__name__}: {error}".split())
        stopped.append(
            Unreadable(
                Reason.MALFORMED,
                f"the archive is damaged ({what:.120}), the rest is lost: download it again",
            )
        )
    if stopped:
        yield Failure(name, stopped[0].reason, stopped[0].message, f"after record {records}")
    elif not found:
        nothing = Reason.NO_TEXT if records else Reason.EMPTY
        yield Failure(name, nothing, "there are no pages in it: check that it was saved")


def _page(record: Any, name: str) -> Page | Failure | None:
    """The page in a record; None where it holds none."""
    headers = record.rec_headers
    if record.rec_type not in ("response", "resource", "conversion"):
        return None
    about = headers
    if record.rec_type == "response":
        about = record.http_headers
        if about is None or about.get_statuscode() != "200":
            return None
    kind, _, parameters = (about.get_header("Content-Type") or "").partition(";")
    kind = kind.strip().lower()
    if kind not in _KINDS:
        return None
    url = (headers.get_header("WARC-Target-URI") or "").strip("<> ")
    data = bytearray()
    content = record.content_stream()
    while len(data) <= MAX_PAGE_BYTES and (piece := content.read(_PIECE)):
        data += piece
    if len(data) > MAX_PAGE_BYTES:
        return Failure(
            name,
            Reason.TOO_LARGE,
            f"more than {MAX_PAGE_BYTES // 2**20} MB in one page: it is no article",
            url,
        )
    while record.raw_stream.read(_PIECE):  # what an encoding leaves over
        pass
    if record.raw_stream.limit > 0:
        raise Unreadable(Reason.TRUNCATED, "the archive ends too early: download it again")
    if not data:
        return Failure(name, Reason.EMPTY, "the server sent an empty page", url)
    date = headers.get_header("WARC-Date") or ""
    return Page(name, url, date, bytes(data), _KINDS[kind], _charset(parameters))


def _charset(parameters: str) -> str | None:
    """The encoding among the parameters of a content type."""
    for parameter in parameters.split(";"):
        key, _, value = parameter.partition("=")
        if key.strip().lower() == "charset":
            return value.strip(" \"'") or None
    return None
