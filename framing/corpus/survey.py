"""What a run would read, before it does: columns, and how many documents."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import wait

from framing.corpus.child import Child, Link
from framing.corpus.inputs import Source, estimate, guess
from framing.text.columns import Choice, Columns
from framing.text.readers import is_archive, is_table

_LOOKED_AT = 50  # tables and archives; the others are taken to be like them


@dataclass(frozen=True, slots=True)
class Shape:
    """Tables that are read by the same columns; None where there is no text, or no table."""

    columns: Columns | None
    files: int
    example: str


@dataclass(frozen=True, slots=True)
class Overview:
    """What the sources hold.

    Attributes
    ----------
    shapes
        The tables looked at, by their columns, most files first.
    unseen
        How many tables and archives were not looked at.
    documents, exact
        How many there are, and whether they were counted.
    """

    shapes: tuple[Shape, ...]
    unseen: int
    documents: int
    exact: bool


def overview(sources: Sequence[Source], choice: Choice, seconds: float = 20) -> Overview:
    """Look into the first tables and archives, each for at most some seconds, in a child."""
    many = [source for source in sources if is_table(source.path) or is_archive(source.path)]
    looked_at = many[:_LOOKED_AT]
    columns: Counter[Columns | None] = Counter()
    examples: dict[Columns | None, str] = {}
    counted, size, exact = 0, 0, len(many) == len(looked_at)
    for source, answer in zip(looked_at, _answers(looked_at, choice, seconds), strict=True):
        found, documents, certain = answer or _UNKNOWN
        if is_table(source.path) and answer is not None:
            columns[found] += 1
            examples.setdefault(found, source.name)
        counted, size, exact = counted + documents, size + source.size, exact and certain
    rest = sum(source.size for source in many) - size
    return Overview(
        shapes=tuple(Shape(each, n, examples[each]) for each, n in columns.most_common()),
        unseen=len(many) - len(looked_at),
        documents=len(sources) - len(many) + counted + round(counted * rest / max(1, size)),
        exact=exact,
    )


_Answer = tuple[Columns | None, int, bool]
_UNKNOWN: _Answer = (None, 1, False)


def _answers(sources: Sequence[Source], choice: Choice, seconds: float) -> list[_Answer | None]:
    """Columns and documents of each source; a child that dies or dawdles costs one source."""
    answers: list[_Answer | None] = []
    while len(answers) < len(sources):
        child = Child(_look, sources[len(answers) :], choice)
        try:
            while len(answers) < len(sources) and wait([child.pipe], seconds):
                answers.append(child.pipe.recv())
        except (EOFError, OSError):
            pass
        finally:
            child.end()
        if len(answers) < len(sources):
            answers.append(None)
    return answers


def _look(link: Link, sources: Sequence[Source], choice: Choice) -> None:
    link.limit_memory(1 << 30)
    for source in sources:
        link.send((guess(source, choice), *estimate(source, choice)))
