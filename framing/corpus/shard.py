"""A shard: some documents in a row, the unit that is scored and committed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from framing.corpus.inputs import Item, Source
from framing.corpus.warc import Page
from framing.text.document import Document

Key = tuple[int, int]
FirstOf = Callable[[int, int], Key | None]


_FIRST_DOCUMENTS = 16  # in the first shard; twice as many in each that follows


@dataclass(frozen=True, slots=True)
class Shard:
    """Documents in a row.

    Attributes
    ----------
    number
        Counts the shards of a run from 0.
    items
        At least one.
    names
        The name of every source that is spoken of.
    next
        The key of the item that comes after; behind the last source where there is none.
    copies
        Which items are near-copies (by index), and the key of the first of their kind.
    """

    number: int
    items: tuple[Item, ...]
    names: Mapping[int, str]
    next: Key
    copies: Mapping[int, Key] = field(default_factory=dict)

    @property
    def first(self) -> Key:
        """The key of the first item."""
        return self.items[0].source, self.items[0].position


def cut(
    items: Iterable[Item],
    sources: Sequence[Source],
    *,
    number: int = 0,
    documents: int = 256,
    size: int = 4 << 20,
    first_of: FirstOf | None = None,
) -> Iterator[Shard]:
    """Cut a stream of items into shards, the first ones small, so that much is committed soon.

    Where a shard ends depends on its number and on nothing before it: cutting again from a
    shard's `next` on gives the same shards, whoever cuts.
    """
    held: list[Item] = []
    weight = 0
    for item in items:
        more = _weight(item)
        most = min(documents, _FIRST_DOCUMENTS << min(number, 16))
        if held and (len(held) == most or weight + more > size):
            yield _shard(number, held, sources, (item.source, item.position), first_of)
            number, held, weight = number + 1, [], 0
        held.append(item)
        weight += more
    if held:
        yield _shard(number, held, sources, (len(sources), 0), first_of)


def _weight(item: Item) -> int:
    """What an item carries, in characters or bytes; a path weighs nothing."""
    match item.content:
        case Document(text=text):
            return len(text)
        case Page(data=data):
            return len(data)
        case _:
            return 0


def _shard(
    number: int, items: list[Item], sources: Sequence[Source], next: Key, first_of: FirstOf | None
) -> Shard:
    copies = {}
    if first_of is not None:
        firsts = [first_of(item.source, item.position) for item in items]
        copies = {i: first for i, first in enumerate(firsts) if first is not None}
    spoken_of = {item.source for item in items} | {source for source, _ in copies.values()}
    names = {source: sources[source].name for source in sorted(spoken_of)}
    return Shard(number, tuple(items), names, next, copies)
