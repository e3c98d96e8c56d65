"""What the children of a run do: one reads and cuts shards, the others work on them."""

from __future__ import annotations

import pickle
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

from framing.corpus.child import Link
from framing.corpus.inputs import Item, Source, items
from framing.corpus.shard import Key, Shard, cut
from framing.text.columns import Choice
from framing.text.document import Failure

Beat = Callable[..., None]
Work = Callable[[Shard, Beat, bool], Any]

NOWHERE = (-1, 0)  # at no item: while a shard waits to be taken, or is not begun with yet


class Task(Protocol):
    """What is done with shards; sent to each worker as a pickle and opened there."""

    def open(self, threads: int) -> Work:
        """Load what is needed; returns what makes a result of each shard.

        The work is called with a shard, a function ``beat(index, characters=0)`` to be called
        where it begins with an item (and with so many characters at once, where it takes longer),
        and whether to be careful: then it takes items one at a time and no exception comes out.
        """
        ...


@dataclass(frozen=True, slots=True)
class Feed:
    """What is read, and how it is cut into shards.

    `start` is the key of the first item and `number` the number of its shard. Of the shards only
    those with ``number % part[1] == part[0] - 1`` are worked on. `copies` is where the near-copies
    are listed.
    """

    sources: tuple[Source, ...]
    columns: Choice = field(default_factory=Choice)
    start: Key = (0, 0)
    number: int = 0
    part: tuple[int, int] = (1, 1)
    documents: int = 256
    size: int = 4 << 20
    copies: Path | None = None


@dataclass(slots=True)
class Turn:
    """A shard on its way through the workers, pickled, and what became of it."""

    number: int
    first: Key
    next: Key
    items: int
    shard: bytes
    careful: bool = False
    deaths: Counter[int] = field(default_factory=Counter)
    given_up: dict[int, Failure] = field(default_factory=dict)
    done: bool = False
    result: Any = None


def read(
    link: Link,
    feed: Feed,
    start: Key,
    number: int,
    given_up: dict[int, tuple[int, Failure]],
    memory: int,
) -> None:
    """Read the sources and send a turn for each shard, None at the end."""
    first_of = None
    if feed.copies is not None:
        from framing.corpus.dedup import Copies

        first_of = Copies.from_bytes(feed.copies.read_bytes()).of
    link.limit_memory(memory)

    def stream() -> Iterator[Item]:
        for source in feed.sources[start[0] :]:
            begin = start[1] if source.number == start[0] else 0
            end, failure = given_up.get(source.number, (None, None))
            link.beat(source.number, 0)
            position = 0
            for position, item in enumerate(islice(items(source, feed.columns), end), 1):
                if item.position >= begin:
                    yield item
                link.beat(source.number, position)
            if failure is not None:
                yield Item(source.number, position, failure)

    part, parts = feed.part
    for shard in cut(
        stream(),
        feed.sources,
        number=number,
        documents=feed.documents,
        size=feed.size,
        first_of=first_of,
    ):
        if shard.number % parts == part - 1:
            turn = (shard.number, shard.first, shard.next, len(shard.items))
            place = link.place
            link.beat(*NOWHERE)
            link.send(Turn(*turn, pickle.dumps(shard)))
            link.beat(*place)
    link.beat(*NOWHERE)
    link.send(None)


def work(link: Link, task: bytes, threads: int, memory: int) -> None:
    """Open the task and do its work, shard after shard."""
    try:
        make = pickle.loads(task).open(threads)
    except Exception as error:
        # Not the error itself: one with arguments of its own does not survive a pickle.
        link.send(("refused", (type(error), error.args, vars(error))))
        return
    link.limit_memory(memory)
    link.send(("ready", None))
    while True:
        pickled, careful, given_up = link.receive()
        try:
            result = make(_without(pickle.loads(pickled), given_up), link.beat, careful)
        except BaseException as error:  # a panic in a native library is one of its own kind
            what = " ".join(f"{type(error).__name__}: {error}".split())
            link.send(("failed", f"{what:.200}"))
            return
        link.send(("done", result))


def _without(shard: Shard, given_up: dict[int, Failure]) -> Shard:
    """The shard with failures in the place of what ended a worker."""
    held = list(shard.items)
    for index, failure in given_up.items():
        held[index] = replace(held[index], content=replace(failure, id=held[index].id))
    return replace(shard, items=tuple(held))
