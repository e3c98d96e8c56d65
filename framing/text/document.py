"""The two things every room handles: a document and a passage of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum


class Kind(StrEnum):
    """What a passage is on the page."""

    HEADLINE = "headline"
    PARAGRAPH = "paragraph"
    LIST_ITEM = "list_item"
    SENTENCE = "sentence"


@dataclass(frozen=True, slots=True)
class Passage:
    """A stretch of a document: ``document.text[start:end]`` is the passage, always."""

    start: int
    end: int
    kind: Kind


@dataclass(frozen=True, slots=True)
class Document:
    """One article in one coordinate system.

    Every offset anywhere in framing is a character (Unicode code point) offset into `text`.
    Where a title came from its own field or page element and `text` did not already begin with
    it, `text` is the title, a blank line and the body; `body_start` is where the body begins,
    so ``offset - body_start`` indexes the user's own text column. `file` is what it was read from.
    """

    id: str
    text: str
    title: str | None = None
    source: str | None = None
    date: str | None = None
    author: str | None = None
    language: str | None = None
    body_start: int = 0
    warnings: tuple[str, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    file: str | None = field(default=None, compare=False)


class Reason(StrEnum):
    """Why a document could not be read: a closed list."""

    NOT_FOUND = "not_found"
    IS_DIRECTORY = "is_directory"
    UNREADABLE = "unreadable"
    UNSUPPORTED = "unsupported"
    EMPTY = "empty"
    BINARY = "binary"
    ENCODING = "encoding"
    MALFORMED = "malformed"
    TRUNCATED = "truncated"
    ENCRYPTED = "encrypted"
    TOO_LARGE = "too_large"
    NO_TEXT_COLUMN = "no_text_column"
    NO_TEXT = "no_text"
    LANGUAGE = "language"
    TIMEOUT = "timeout"
    CRASHED = "crashed"


@dataclass(frozen=True, slots=True)
class Failure:
    """A document that could not be read, and what to do about it.

    `where` is the position inside the file ("line 7", "row 12", "page 3"), or None for the file.
    `id` is the document's own id, where that could be read.
    """

    path: str
    reason: Reason
    message: str
    where: str | None = None
    id: str | None = None

    def __str__(self) -> str:
        place = f"{self.path}, {self.where}" if self.where else self.path
        return f"{place}: {self.message}"

    def to_dict(self) -> dict[str, str | None]:
        """As JSON-ready data."""
        return asdict(self)


class ReadError(Exception):
    """Raised by :func:`framing.read` where a file holds nothing that can be read."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(str(failure))
        self.failure = failure
