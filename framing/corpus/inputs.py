"""What a run reads: sources on disk, and the stream of items in them.

A source is a file. An item is one document to be: a row of a table as it was read, or a page, PDF
or text that a worker has yet to read. Its key (source, position) never depends on how a run goes.
"""

from __future__ import annotations

import glob
import hashlib
import json
import os
import re
import tempfile
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from framing.corpus.warc import Page as Page
from framing.corpus.warc import pages
from framing.text.arrow import rows_counted
from framing.text.bytes_in import Unreadable
from framing.text.columns import Choice, Columns
from framing.text.document import Document, Failure, Reason
from framing.text.readers import columns_of, is_archive, is_table, read_named, with_damage
from framing.text.whole import read_whole

#: A longer document is no article, and would keep a worker for hours.
MAX_DOCUMENT_CHARACTERS = 4 * 2**20

_CHUNK = 1 << 20
_SAMPLE = 8 << 20  # bytes of a table that tell how many documents are in all of it


class InputError(Exception):
    """The inputs named are not there, or hold nothing to read."""


@dataclass(frozen=True, slots=True)
class Source:
    """A file to read.

    Attributes
    ----------
    number
        Its place among the sources, from 0.
    name
        Its path below the folder that was named, with forward slashes; unique in a run.
    path
        Where it lies.
    size, sha256
        Bytes, and their hash; empty where the file cannot be opened (its row says why).
    """

    number: int
    name: str
    path: Path
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Found:
    """The sources in the inputs, and how many hidden files and folders were left out."""

    sources: tuple[Source, ...]
    hidden: int


@dataclass(frozen=True, slots=True)
class Unread:
    """A file of one document, which the worker reads."""

    path: Path
    name: str


@dataclass(frozen=True, slots=True)
class Item:
    """One document to be; `position` counts the items of its source from 0."""

    source: int
    position: int
    content: Document | Failure | Unread | Page

    @property
    def id(self) -> str | None:
        """The document's own id, as far as it is known."""
        match self.content:
            case Document(id=id) | Failure(id=id) | Page(url=id):
                return id
        return None


def find_sources(inputs: Sequence[str]) -> Found:
    """Find the files in folders, globs and files, in the given order, sorted within each.

    Folders are searched to the bottom; hidden files and folders in them, links to folders and
    what is no regular file are left out. A folder that `datasets` saved gives its data files. A
    file that is named twice is read once.

    Raises
    ------
    InputError
        An input is not there, is no file, nothing was found at all, or nothing that can be read
        without a package that is not installed.
    """
    found: dict[Path, _Named] = {}
    hidden = 0
    for given in inputs:
        for place in _expanded(given):
            files, left_out = _files(place) if place.is_dir() else ([place], 0)
            hidden += left_out
            for file in files:
                name = file.name if file == place else file.relative_to(place).as_posix()
                found.setdefault(file.resolve(), _Named(file, name, place.as_posix()))
    if not found:
        raise InputError(f"no files in {', '.join(inputs)}: name files, or folders that hold some")
    lacking = lacks([file.path for file in found.values()])
    if sum(lack.files for lack in lacking) == len(found):
        extras = ",".join(lack.extra for lack in lacking)
        raise InputError(
            f"reading {lacking[0].example} takes one more package, and there is nothing else to "
            f'read: pip install "framing[{extras}]"'
        )
    sources = [
        Source(number, name, path, *_measured(path))
        for number, (path, name) in enumerate(_uniquely(found.values()))
    ]
    return Found(tuple(sources), hidden)


@dataclass(frozen=True, slots=True)
class Lack:
    """An extra that is not installed, how many files cannot be read without, and the first."""

    extra: str
    files: int
    example: str


def lacks(paths: Collection[Path]) -> tuple[Lack, ...]:
    """Find out for which files, by their names, an extra is missing."""
    found = []
    for extra, package, needs in _EXTRAS:
        if find_spec(package) is None and (files := [path for path in paths if needs(path)]):
            found.append(Lack(extra, len(files), _printable(str(files[0]))))
    return tuple(found)


def _is_pdf(path: Path) -> bool:
    return re.search(r"\.pdf(\.gz|\.zst)?$", path.name, re.IGNORECASE) is not None


_EXTRAS = (("warc", "warcio", is_archive), ("pdf", "pypdfium2", _is_pdf))


class _Named(NamedTuple):
    """A file, its name in the input that it was found in, and that input."""

    path: Path
    name: str
    given: str


def _uniquely(files: Collection[_Named]) -> Iterator[tuple[Path, str]]:
    """Each file with its name; with that of the input in front where two would be alike."""
    taken = Counter(file.name for file in files)
    for path, name, given in files:
        if taken[name] > 1:
            longer = given if given.endswith(name) else f"{given.rstrip('/')}/{name}"
            name = longer if longer not in taken else path.resolve().as_posix()
            taken[name] += 1
        yield path, _printable(name)


def _expanded(given: str) -> list[Path]:
    """The files and folders that an input names: itself, or what a pattern matches."""
    path = Path(given)
    if given == "-":
        raise InputError("a run reads files, not standard input: it must be able to read twice")
    if path.is_dir() or path.is_file():
        return [path]
    if path.exists():
        raise InputError(f"{given} is neither a file nor a folder")
    matches = sorted(map(Path, glob.glob(given, recursive=True)))  # noqa: PTH207 # absolute too
    if not matches:
        raise InputError(f"{given}: no such file or folder: check the name")
    return matches


def _files(folder: Path) -> tuple[list[Path], int]:
    """The regular files below a folder, sorted, and how many hidden entries were left out."""
    files: list[Path] = []
    hidden = 0
    for at, folders, names in os.walk(folder):
        hidden += sum(name.startswith(".") for name in (*folders, *names))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        saved = _saved_dataset(Path(at))
        if saved is not None:
            files += saved
            continue
        paths = (Path(at, name) for name in names if not name.startswith("."))
        files += (path for path in paths if path.is_file())
    return sorted(files), hidden


def _saved_dataset(folder: Path) -> list[Path] | None:
    """The data files of a dataset that `datasets` saved here; [] above its splits."""
    if (folder / "dataset_dict.json").is_file():
        return []
    try:
        state = json.loads((folder / "state.json").read_bytes())
        return [folder / Path(data["filename"]).name for data in state["_data_files"]]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _measured(path: Path) -> tuple[int, str]:
    """Size and hash of a file; 0 and nothing where it cannot be read."""
    digest = hashlib.sha256()
    size = 0
    try:
        with path.open("rb") as file:
            while piece := file.read(_CHUNK):
                size += len(piece)
                digest.update(piece)
    except OSError:
        return 0, ""
    return size, digest.hexdigest()


def _printable(name: str) -> str:
    """A file name as text, with the bytes that are none written out."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


# --- items ------------------------------------------------------------------------------------


def items(source: Source, choice: Choice, start: int = 0) -> Iterator[Item]:
    """Read the items of a source in order, from the position `start` on, in bounded memory.

    Whatever is wrong with the source is an item too: a `Failure`.
    """
    for position, content in enumerate(_contents(source, choice)):
        if position >= start:
            yield Item(source.number, position, content)


def _contents(
    source: Source, choice: Choice
) -> Iterator[Document | Failure | Page] | Iterator[Unread]:
    if is_archive(source.path):
        return pages(source.path, source.name)
    if is_table(source.path):
        return read_named(source.path, source.name, choice)
    return iter([Unread(source.path, source.name)])


def resolve(item: Item) -> Document | Failure:
    """Read what has not been read yet: this parses what strangers wrote."""
    match item.content:
        case Unread(path, name):
            content = next(read_named(path, name, Choice()))
        case Page() as page:
            content = _document(page)
        case content:
            pass
    if isinstance(content, Document) and len(content.text) > MAX_DOCUMENT_CHARACTERS:
        return Failure(
            content.id,
            Reason.TOO_LARGE,
            f"more than {MAX_DOCUMENT_CHARACTERS // 2**20} million characters in one document: "
            "split it",
            id=content.id,
        )
    return content


def _document(page: Page) -> Document | Failure:
    """The document in a page of a web archive."""
    try:
        document = read_whole(page.data, page.kind, page.url, charset=page.charset)
    except Unreadable as reason:
        return replace(reason.failure(page.name), id=page.url)
    host = urlsplit(page.url).hostname if re.match("https?://", page.url) else None
    return replace(
        with_damage(document),
        source=document.source or host,
        metadata={**document.metadata, "url": page.url, "captured": page.date},
        file=page.name,
    )


# --- before a run -----------------------------------------------------------------------------


def guess(source: Source, choice: Choice) -> Columns | None:
    """The columns that a table will be read by; None where it has no text, or is no table."""
    return columns_of(source.path, choice) if is_table(source.path) else None


def estimate(source: Source, choice: Choice) -> tuple[int, bool]:
    """How many documents a source holds, and whether that is exact or from its beginning."""
    if not is_table(source.path) and not is_archive(source.path):
        return 1, True
    if (rows := rows_counted(source.path)) is not None:
        return rows, True
    if source.size <= _SAMPLE:
        return sum(1 for _ in items(source, choice)), True
    with tempfile.TemporaryDirectory() as folder, source.path.open("rb") as file:
        sample = Path(folder, source.path.name)
        sample.write_bytes(file.read(_SAMPLE))
        part = Source(source.number, source.name, sample, _SAMPLE, "")
        counted = max(1, sum(1 for _ in items(part, choice)) - 1)  # the last was cut
    return round(counted * source.size / _SAMPLE), False
