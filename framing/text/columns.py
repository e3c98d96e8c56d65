"""Which column of a table, or key of an object, holds what."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

# The first name that is there wins; letters and digits of it in lower case.
_NAMES: dict[str, tuple[str, ...]] = {
    "text": (
        "text",
        "fulltext",
        "maintext",
        "articletext",
        "articlebody",
        "bodytext",
        "newstext",
        "body",
        "content",
        "contents",
        "article",
        "story",
        "plaintext",
        "rawtext",
        "cleantext",
        "passage",
        "paragraph",
        "sentence",
    ),
    "title": ("title", "headline", "heading", "articletitle", "articleheadline", "newstitle"),
    "id": (
        "id",
        "uid",
        "uuid",
        "guid",
        "docid",
        "documentid",
        "articleid",
        "newsid",
        "textid",
        "key",
    ),
    "source": (
        "source",
        "outlet",
        "publisher",
        "newspaper",
        "publication",
        "sourcename",
        "sourcedomain",
        "medium",
        "media",
        "site",
        "sitename",
        "domain",
        "hostname",
    ),
    "date": (
        "date",
        "published",
        "publishdate",
        "publisheddate",
        "publishedat",
        "publicationdate",
        "datepublish",
        "datepublished",
        "pubdate",
        "releasedate",
        "datetime",
        "timestamp",
        "created",
        "createdat",
    ),
    "author": ("author", "authors", "byline", "writer", "creator"),
}
_NUMBER = re.compile(r"[-+]?[\d.,]*\d[\d.,]*(e[-+]?\d+)?%?", re.IGNORECASE)
_KNOWN = frozenset(name for names in _NAMES.values() for name in names)


@dataclass(frozen=True, slots=True)
class Choice:
    """The columns a user names, by what they hold; the others are found by their names."""

    text: str | None = None
    title: str | None = None
    id: str | None = None
    source: str | None = None
    date: str | None = None

    @property
    def named(self) -> tuple[tuple[str, str], ...]:
        """What each named column holds, and its name."""
        return tuple((role, name) for role, name in asdict(self).items() if name is not None)

    @property
    def names(self) -> tuple[str, ...]:
        """The names that a table must have."""
        return tuple(name for _, name in self.named)


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns found, by what they hold; the others are metadata."""

    text: str
    title: str | None
    id: str | None
    source: str | None
    date: str | None
    author: str | None
    others: tuple[str, ...]


def is_known(name: str) -> bool:
    """Whether a column of this name would be found."""
    return _key(name) in _KNOWN


def is_number(value: Any) -> bool:
    """Whether a cell holds a number, or one written out, and so no text."""
    if isinstance(value, str):
        return _NUMBER.fullmatch(value.strip()) is not None
    return isinstance(value, (int, float))


@lru_cache(maxsize=64)
def find_columns(
    names: tuple[str, ...], choice: Choice, no_text: frozenset[str] = frozenset()
) -> Columns | None:
    """Find the columns among names, each where the user says; None without a text.

    What the user chose and is not there stays None: keys of JSON objects come and go. Columns in
    `no_text` are not taken for the text, whatever their name.
    """
    by_key: dict[str, str] = {}
    for name in names:
        by_key.setdefault(_key(name), name)

    def find(role: str, chosen: str | None) -> str | None:
        if chosen is not None:
            return chosen if chosen in names else None
        return next((by_key[key] for key in _NAMES[role] if key in by_key), None)

    every = by_key
    by_key = {key: name for key, name in every.items() if name not in no_text}
    text = find("text", choice.text)
    if text is None:
        return None
    claimed = {text, *choice.names}
    by_key = {key: name for key, name in every.items() if name not in claimed}
    found = {role: find(role, getattr(choice, role, None)) for role in _NAMES if role != "text"}
    taken = {text, *found.values()}
    others = tuple(name for name in names if name not in taken)
    return Columns(text=text, **found, others=others)


def _key(name: str) -> str:
    return re.sub(r"[\W_]+", "", name).casefold()
