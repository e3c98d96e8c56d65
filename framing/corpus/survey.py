"""What a run would read, before it does: columns, and how many documents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import wait

from framing.corpus.child import Child, Link
from framing.corpus.inputs import Lack, Source, estimate, guess, items, lacks
from framing.corpus.manifest import RunRefused
from framing.text.columns import Choice, Columns
from framing.text.document import Failure
from framing.text.readers import is_archive, is_table

_LOOKED_AT = 50  # tables and archives; the others are taken to be like them


@dataclass(frozen=True, slots=True)
class Shape:
    """Tables that are read by the same columns; None where there is no text, or no table.

    `why` says what is wrong with the example where there are none.
    """

    columns: Columns | None
    files: int
    example: str
    why: str = ""


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
    lacking
        The extras that some of the files take and that are not installed.
    """

    shapes: tuple[Shape, ...]
    unseen: int
    documents: int
    exact: bool
    lacking: tuple[Lack, ...] = ()


def check_columns(named: Choice, seen: Overview) -> None:
    """Refuse columns that no table of the input has: a slip of the pen, before hours go by.

    Raises
    ------
    RunRefused
        Says which columns the most frequent kind of table has.
    """
    wanted = [f"{role} from {name!r}" for role, name in named.named]
    if wanted and seen.shapes and not any(shape.columns for shape in seen.shapes):
        raise RunRefused(
            f"no table of the input can be read with {', '.join(wanted)}: "
            f"{seen.shapes[0].example}: {seen.shapes[0].why}"
        )


def overview(sources: Sequence[Source], choice: Choice, seconds: float = 20) -> Overview:
    """Look into the first tables and archives, each for at most some seconds, in a child."""
    many = [source for source in sources if is_table(source.path) or is_archive(source.path)]
    looked_at = many[:_LOOKED_AT]
    shapes: dict[Columns | None, Shape] = {}
    counted, size, exact = 0, 0, len(many) == len(looked_at)
    for source, answer in zip(looked_at, _answers(looked_at, choice, seconds), strict=True):
        found, why, documents, certain = answer or _UNKNOWN
        if is_table(source.path) and answer is not None:
            shape = shapes.get(found, Shape(found, 0, source.name, why))
            shapes[found] = replace(shape, files=shape.files + 1)
        counted, size, exact = counted + documents, size + source.size, exact and certain
    rest = sum(source.size for source in many) - size
    return Overview(
        shapes=tuple(sorted(shapes.values(), key=lambda shape: -shape.files)),
        unseen=len(many) - len(looked_at),
        documents=len(sources) - len(many) + counted + round(counted * rest / max(1, size)),
        exact=exact,
        lacking=lacks([source.path for source in sources]),
    )


_Answer = tuple[Columns | None, str, int, bool]
_UNKNOWN: _Answer = (None, "", 1, False)


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
        columns = guess(source, choice)
        why = _why_not(source, choice) if columns is None and is_table(source.path) else ""
        link.send((columns, why, *estimate(source, choice)))


def _why_not(source: Source, choice: Choice) -> str:
    """Why a table cannot be read, as its first row in the errors would say."""
    first = next(items(source, choice)).content
    return first.message if isinstance(first, Failure) else "no text column found"
