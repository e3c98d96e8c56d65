"""Shards made and worked through in processes that may die: one bad document costs one document.

One child reads the input and cuts it into shards, others work on them, and the parent hands the
results on in order. The parent parses nothing that strangers wrote. A child that dies, or shows no
sign of life for too long, is replaced, and what it was at is done again with care: only where a
second child ends at the same document is that document given up.
"""

from __future__ import annotations

import pickle
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import wait
from time import monotonic
from typing import Any

from framing.corpus.child import Child
from framing.corpus.roles import NOWHERE, Feed, Task, Turn, read, work
from framing.corpus.shard import Key
from framing.text.document import Failure, Reason

__all__ = ["Done", "Feed", "Limits", "Pool", "PoolBroken", "Reader", "Task", "Turn"]

_LIVES = 2  # so often a document may end the child that is at it
_FALSE_STARTS = 3
_GLANCE = 0.25  # seconds between two looks at who shows no sign of life
_LAST_WORDS = 1.0  # seconds in which a child whose pipe has closed must have died
_THREAD_MEMORY = 256 << 20  # addresses that a thread may reserve for its own heap and stack


class PoolBroken(Exception):  # noqa: N818 - the pool, not a value, is wrong
    """The children do not even start."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a document may take.

    Attributes
    ----------
    seconds
        Of computing without a sign of life, or five times as much of waiting;
        `characters_a_second` of what is scored at once come on top.
    memory
        Bytes beyond what a child takes once it is ready.
    start_seconds
        To load the model.
    """

    seconds: float = 60
    characters_a_second: int = 2000
    memory: int = 1 << 30
    start_seconds: float = 300


@dataclass(frozen=True, slots=True)
class Done:
    """A shard that was worked on: its number, its first key and that after it, and the result."""

    number: int
    first: Key
    next: Key
    items: int
    result: Any


class Reader:
    """One child that reads the input and cuts it into shards.

    Parameters
    ----------
    feed
        What is read.
    limits
        What a document may take before it, and the rest of its source, is given up.

    Use it as a context: leaving it ends the child at once.
    """

    def __init__(self, feed: Feed, limits: Limits | None = None) -> None:
        self._feed, self._limits = feed, limits or Limits()
        self._next, self._number = feed.start, feed.number  # where a new child is to go on
        self._deaths: Counter[Key] = Counter()
        self._given_up: dict[int, tuple[int, Failure]] = {}
        self._false_starts = 0
        self._wanted = False
        self.child: Child | None = None

    def __enter__(self) -> Reader:
        self._start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.child is not None:
            self.child.end()
            self.child = None

    def turns(self, tick: float = 1.0) -> Iterator[Turn | None]:
        """Yield the shards, pickled, and None where a `tick` brought nothing."""
        while self.child is not None:
            self.want(True)
            turn = self.hear() if wait([self.child.pipe], tick) else None
            self.look_after()
            if self.child is not None:
                yield turn
                self.want(False)

    def want(self, wanted: bool) -> None:
        """Say whether there is room for a shard: only then is its silence held against it."""
        if wanted and not self._wanted and self.child is not None:
            self.child.touch()
        self._wanted = wanted

    def hear(self) -> Turn | None:
        """Take the shard that it has ready; None where it died, or is through."""
        assert self.child is not None
        try:
            turn: Turn | None = self.child.receive()
        except (EOFError, OSError):
            self._died(Reason.CRASHED)
            return None
        if turn is None:
            self.child.end(_LAST_WORDS)
            self.child = None
        else:
            self._next, self._number = turn.next, turn.number + 1
            del self._deaths[NOWHERE]
            self._false_starts = 0
        return turn

    def look_after(self) -> None:
        """End it where it shows no sign of life."""
        if self._wanted and self.child is not None and self.child.is_stuck(self._limits.seconds):
            self._died(Reason.TIMEOUT)

    def _died(self, reason: Reason) -> None:
        assert self.child is not None
        place, began = self.child.place, self.child.beats > 0
        why, cause = _ended(self.child, reason, self._limits)
        if not began:
            self._false_starts = _false_start(self._false_starts, cause)
        elif place == NOWHERE:
            self._deaths[place] += 1
            if self._deaths[place] == _FALSE_STARTS:
                raise PoolBroken(f"the process that reads dies again and again ({cause})")
        else:
            self._deaths[place] += 1
            if self._deaths[place] == _LIVES:
                source, position = place
                name = self._feed.sources[source].name
                failure = Failure(name, reason, f"{why}; so is all after it", "from here on")
                self._given_up[source] = position, failure
        self._start()

    def _start(self) -> None:
        memory = self._limits.memory + _THREAD_MEMORY
        self.child = Child(read, self._feed, self._next, self._number, self._given_up, memory)


@dataclass(slots=True)
class _Worker:
    child: Child
    ready: bool = False
    turn: Turn | None = None
    beats: int = 0  # how many there were when its turn began


class Pool:
    """Workers, and mostly a reader that gives them work.

    Parameters
    ----------
    task
        What is done with each shard.
    feed
        Where the shards come from; None where :meth:`take` gives them.
    workers
        How many at a time. Results do not depend on it.
    limits
        What a document may take before it is given up.
    threads
        Of each worker; by default all cores for a single one, and one each for several.

    Use it as a context: leaving it ends all children at once.
    """

    def __init__(
        self,
        task: Task,
        feed: Feed | None,
        workers: int = 1,
        limits: Limits | None = None,
        threads: int | None = None,
    ) -> None:
        self._task, self._limits = pickle.dumps(task), limits or Limits()
        self._reader = None if feed is None else Reader(feed, self._limits)
        self._count, self._threads = workers, threads or _threads(workers)
        self._workers: list[_Worker] = []
        self._false_starts = 0
        self._turns: deque[Turn] = deque()  # in order, all that are in flight
        self._waiting: deque[Turn] = deque()

    def __enter__(self) -> Pool:
        if self._reader is not None:
            self._reader.__enter__()
        self._workers = [self._started() for _ in range(self._count)]
        return self

    def __exit__(self, *_: object) -> None:
        if self._reader is not None:
            self._reader.__exit__()
        for worker in self._workers:
            worker.child.end()

    def take(self, turn: Turn) -> None:
        """Add a shard to those in flight."""
        self._turns.append(turn)
        self._waiting.append(turn)

    def results(self, tick: float = 1.0) -> Iterator[Done | None]:
        """Yield the results in the order of the shards, and None where a `tick` brought nothing.

        It ends when all is read and done; without a reader, when nothing is in flight.

        Raises
        ------
        PoolBroken
            The children die before they begin.
        Exception
            What `task.open` raised in a worker.
        """
        told = monotonic()
        while True:
            while self._turns and self._turns[0].done:
                turn = self._turns.popleft()
                told = monotonic()
                yield Done(turn.number, turn.first, turn.next, turn.items, turn.result)
                told = self._back(told)
            if self._reading is None and not self._turns:
                return
            self._hand_out()
            self._listen(min(tick, _GLANCE))
            self._look_after()
            if monotonic() - told >= tick:
                told = monotonic()
                yield None
                told = self._back(told)

    # --- what comes and goes ------------------------------------------------------------------

    @property
    def _reading(self) -> Child | None:
        return None if self._reader is None else self._reader.child

    def _back(self, left: float) -> float:
        """Forgive the children the time in which nobody listened; returns what time it is."""
        now = monotonic()
        for worker in self._workers:
            worker.child.forgive(now - left)
        if self._reading is not None:
            self._reading.forgive(now - left)
        return now

    def _hand_out(self) -> None:
        for worker in self._workers:
            if worker.ready and worker.turn is None and self._waiting:
                turn = self._waiting.popleft()
                worker.turn, worker.beats = turn, worker.child.beats
                worker.child.send((turn.shard, turn.careful, turn.given_up))

    def _listen(self, seconds: float) -> None:
        """Take what the children have to say; the reader is asked only for what there is room."""
        pipes = [worker.child.pipe for worker in self._workers]
        room = len(self._turns) < 2 * self._count
        if self._reader is not None:
            self._reader.want(room)
        if room and self._reading is not None:
            pipes.append(self._reading.pipe)
        heard = wait(pipes, seconds)
        if room and self._reading is not None and self._reading.pipe in heard:
            assert self._reader is not None
            turn = self._reader.hear()
            if turn is not None:
                self.take(turn)
        for worker in list(self._workers):
            if worker.child.pipe in heard:
                self._hear(worker)

    def _hear(self, worker: _Worker) -> None:
        try:
            what, content = worker.child.receive()
        except (EOFError, OSError):
            self._died(worker, Reason.CRASHED)
            return
        match what:
            case "ready":
                worker.ready, self._false_starts = True, 0
            case "refused":
                kind, args, attributes = content
                error = kind.__new__(kind, *args)
                error.__dict__.update(attributes)
                raise error
            case "done":
                assert worker.turn is not None
                worker.turn.done, worker.turn.result = True, content
                worker.turn.shard = b""
                worker.turn = None
            case "failed":
                reason = Reason.TOO_LARGE if "MemoryError" in content else Reason.CRASHED
                self._died(worker, reason, content)

    def _look_after(self) -> None:
        """End the children that show no sign of life."""
        limits = self._limits
        if self._reader is not None:
            self._reader.look_after()
        for worker in list(self._workers):
            if not worker.ready:
                allowed = limits.start_seconds
            elif worker.turn is None:
                continue
            else:
                allowed = limits.seconds + worker.child.place[1] / limits.characters_a_second
            if worker.child.is_stuck(allowed):
                self._died(worker, Reason.TIMEOUT)

    def _died(self, worker: _Worker, reason: Reason, words: str = "") -> None:
        """Put another in its place; its shard is done again with care, a culprit given up."""
        why, cause = _ended(worker.child, reason, self._limits, words)
        if not worker.ready:
            self._false_starts = _false_start(self._false_starts, cause)
        if (turn := worker.turn) is not None:
            began = worker.child.beats != worker.beats
            index = worker.child.place[0] if began else NOWHERE[0]
            turn.careful = True
            turn.deaths[index] += 1
            if not began:
                if turn.deaths[index] == _FALSE_STARTS:
                    raise PoolBroken(f"workers die before they begin with a shard ({cause})")
            elif turn.deaths[index] == _LIVES:
                turn.given_up[index] = Failure("", reason, why)
            self._waiting.appendleft(turn)
        self._workers[self._workers.index(worker)] = self._started()

    def _started(self) -> _Worker:
        memory = self._limits.memory + self._threads * _THREAD_MEMORY
        return _Worker(Child(work, self._task, self._threads, memory))


def _threads(workers: int) -> int:
    from framing.model.encoder import available_cores

    return available_cores() if workers == 1 else 1


def _ended(child: Child, reason: Reason, limits: Limits, words: str = "") -> tuple[str, str]:
    """End a child that failed; returns why its document is given up, and what it died of."""
    cause = child.end(0 if reason is Reason.TIMEOUT or words else _LAST_WORDS)
    if reason is Reason.TIMEOUT:
        return f"it took longer than {limits.seconds:g} seconds and was given up", cause
    return f"it ended the process that was at it ({words or cause}) and was given up", cause


def _false_start(before: int, cause: str) -> int:
    """Count a child that died before it began; PoolBroken where it is the last of several."""
    if before + 1 == _FALSE_STARTS:
        raise PoolBroken(
            f"the worker processes do not start ({cause}): FRAMING_DEBUG=1 shows what they say"
        )
    return before + 1
