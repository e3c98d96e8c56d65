"""Passages drawn from a corpus, evenly over its documents."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from framing.corpus.inputs import Item, Source, estimate, items, resolve
from framing.text.columns import Choice
from framing.text.document import Document
from framing.text.language import detect
from framing.text.normalize import normalize
from framing.text.segment import segment

_OF_A_DOCUMENT = 0.25  # of its passages, where the corpus has more than enough


@dataclass(frozen=True, slots=True)
class Drawn:
    """A passage's clean text, and who published it: the document's source, else the document."""

    text: str
    outlet: str


def draw(
    sources: Sequence[Source],
    choice: Choice,
    count: int,
    *,
    language: str,
    seed: int = 0,
    on_document: Callable[[int], None] = lambda _: None,
) -> list[Drawn]:
    """Draw about `count` passages, every passage as likely as any other.

    A quarter of the passages of some documents, or more of all where that does not suffice. What
    cannot be read or is in another language is left out; a text that comes twice is drawn once.

    Parameters
    ----------
    sources, choice
        The input, and the columns that the user names.
    on_document
        Told how many passages there are after each document that was read.
    """
    expected = sum(estimate(source, choice)[0] for source in sources)
    a_document = _passages_a_document(sources, choice, expected, language)
    share = min(1.0, max(_OF_A_DOCUMENT, count / max(1.0, expected * a_document)))
    documents = min(1.0, count / max(1.0, expected * a_document * share))
    found: dict[str, Drawn] = {}
    for item in _items(sources, choice):
        rng = np.random.default_rng([seed, item.source, item.position])
        if rng.random() >= documents:
            continue
        for passage in _passages(item, language):
            if rng.random() < share:
                found.setdefault(passage.text, passage)
        on_document(len(found))
    return list(found.values())


def _passages_a_document(
    sources: Sequence[Source], choice: Choice, expected: int, language: str
) -> float:
    """How many passages a document has, by a sample of about 200."""
    step = max(1, expected // 200)
    counts = [
        sum(1 for _ in _passages(item, language))
        for i, item in enumerate(_items(sources, choice))
        if i % step == 0
    ]
    return max(1.0, sum(counts) / max(1, len(counts)))


def _items(sources: Sequence[Source], choice: Choice) -> Iterator[Item]:
    return (item for source in sources for item in items(source, choice))


def _passages(item: Item, language: str) -> Iterator[Drawn]:
    document = resolve(item)
    if not isinstance(document, Document):
        return
    if detect(document.text[document.body_start :])[0] not in (language, "und"):
        return
    outlet = document.source or f"{item.source}:{item.position}"
    for passage in segment(document):
        text = normalize(document.text[passage.start : passage.end]).text
        yield Drawn(text, outlet)
