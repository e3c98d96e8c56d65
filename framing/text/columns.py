"""Which column of a table, or key of an object, holds what."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

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
_KNOWN = frozenset(name for names in _NAMES.values() for name in names)


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


@lru_cache(maxsize=64)
def find_columns(names: tuple[str, ...], text_column: str | None) -> Columns | None:
    """Find the columns among names, with the text where the user says; None without a text."""
    by_key: dict[str, str] = {}
    for name in names:
        by_key.setdefault(_key(name), name)

    def first(keys: Iterable[str]) -> str | None:
        return next((by_key[key] for key in keys if key in by_key), None)

    if text_column is None:
        text = first(_NAMES["text"])
    else:
        text = text_column if text_column in names else None
    if text is None:
        return None
    by_key = {key: name for key, name in by_key.items() if name != text}
    found = {role: first(keys) for role, keys in _NAMES.items() if role != "text"}
    taken = {text, *found.values()}
    others = tuple(name for name in names if name not in taken)
    return Columns(text=text, **found, others=others)


def _key(name: str) -> str:
    return re.sub(r"[\W_]+", "", name).casefold()
