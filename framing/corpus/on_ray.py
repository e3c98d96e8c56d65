"""A run on a Ray cluster: shards go out to actors, and what they make comes back in order.

The driver reads, cuts and commits, as on one machine; an actor does with a shard what a worker
does, in a killable process of its own, so that results are equal. The inputs that are files of one
document, and the bundle, must lie where every node finds them under the same path, and every node
must have the same versions of framing and its libraries, which is checked.

An actor answers within seconds, be it that it is not done yet. One that does not, or that is lost
with its node, is replaced, and its shard done again.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic
from typing import Any

from framing.corpus.environment import environment
from framing.corpus.manifest import RunRefused
from framing.corpus.roles import Feed, Task, Turn
from framing.corpus.work import Done, Limits, Pool, PoolBroken, Reader

_ANSWER = 2.0  # seconds after which an actor says that it is not done yet
_SILENCE = 60.0  # seconds after which one that says nothing is given up
_PATIENCE = 0.2
_KNOCK = 10.0
_LOSSES = 5  # so often a shard may be lost with its actor
_FALSE_STARTS = 5


class RayPool:
    """What :class:`framing.corpus.work.Pool` is on one machine, on a Ray cluster.

    Parameters
    ----------
    task, feed, limits
        As for the pool.
    workers
        How many actors, of one CPU each; 0 for as many as there is room for. One CPU of the
        cluster is always left for Ray itself.
    address
        Of the cluster, as for :func:`ray.init`; by default the one that this machine is part of,
        else one is started on it.
    """

    def __init__(
        self,
        task: Task,
        feed: Feed,
        workers: int = 0,
        address: str | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._task, self._feed, self._limits = task, feed, limits or Limits()
        self._count, self._address = workers, address
        self._turns: deque[Turn] = deque()  # in order, all that are in flight
        self._waiting: deque[Turn] = deque()
        self._actors: list[_Remote] = []
        self._false_starts = 0
        self._losses: Counter[int] = Counter()

    def __enter__(self) -> RayPool:
        self._started_ray = _connect(self._address)
        room = max(1, int(_ray().cluster_resources().get("CPU", 1)) - 1)
        self._actors = [self._actor() for _ in range(min(self._count or room, room))]
        return self

    def __exit__(self, *_: object) -> None:
        for remote in self._actors:
            with suppress(Exception):
                _ray().kill(remote.actor)
        if self._started_ray:
            _ray().shutdown()

    def results(self, tick: float = 1.0) -> Iterator[Done | None]:
        """Yield the results in the order of the shards, and None where a `tick` brought nothing.

        Raises
        ------
        PoolBroken
            The cluster gives no actor, or loses too many.
        RunRefused
            A node has other versions than this one.
        """
        told = monotonic()
        with Reader(self._feed, self._limits) as reader:
            shards = reader.turns(_PATIENCE)
            reading = True
            while reading or self._turns:
                while self._turns and self._turns[0].done:
                    turn = self._turns.popleft()
                    yield Done(turn.number, turn.first, turn.next, turn.items, turn.result)
                    told = monotonic()
                if room := reading and len(self._turns) < 2 * len(self._actors):
                    reading = self._read(shards)
                self._hand_out()
                self._listen(0 if room else _PATIENCE)
                if monotonic() - told >= tick:
                    yield None
                    told = monotonic()

    def _read(self, shards: Iterator[Turn | None]) -> bool:
        """Take the next shard, if there is one soon; returns whether there may be more."""
        for turn in shards:
            if turn is not None:
                self._turns.append(turn)
                self._waiting.append(turn)
            return True
        return False

    def _hand_out(self) -> None:
        for remote in self._actors:
            if remote.ready and remote.turn is None and self._waiting:
                remote.turn = self._waiting.popleft()
                remote.ask(remote.actor.take.remote(remote.turn))

    def _listen(self, seconds: float) -> None:
        """Take what the actors answer, and replace those that do not."""
        asked = {remote.answer: remote for remote in self._actors if remote.answer is not None}
        if not asked:
            return
        answered, _ = _ray().wait(list(asked), num_returns=len(asked), timeout=seconds)
        for answer in answered:
            self._take_in(asked[answer])
        silence = {remote: monotonic() - remote.asked for remote in asked.values()}
        for remote in self._actors:
            if remote.ready and remote.answer and silence.get(remote, 0) > _SILENCE:
                self._lost(remote, f"an actor said nothing for {_SILENCE:g} seconds")
        patience = self._limits.start_seconds
        if not any(remote.ready for remote in self._actors) and min(silence.values()) > patience:
            raise PoolBroken(
                f"the Ray cluster has given no actor for {patience:g} seconds: look at ray status"
            )

    def _take_in(self, remote: _Remote) -> None:
        exceptions = _ray().exceptions
        try:
            value = _ray().get(remote.answer, timeout=_SILENCE)
        except exceptions.RayTaskError as error:
            what = " ".join(str(error.cause).split())
            raise PoolBroken(f"an actor of the Ray cluster failed ({what:.300})") from None
        except exceptions.RayError as error:
            self._lost(remote, str(error).strip().partition("\n")[0])
            return
        if not remote.ready:
            _check(value)
            remote.ready, remote.answer, self._false_starts = True, None, 0
        elif value is None:
            remote.ask(remote.actor.go_on.remote())
        else:
            assert remote.turn is not None
            remote.turn.done, remote.turn.result, remote.turn.shard = True, value, b""
            remote.turn = remote.answer = None

    def _lost(self, remote: _Remote, why: str) -> None:
        """Put another actor in its place, and let its shard be done again."""
        with suppress(Exception):
            _ray().kill(remote.actor)
        self._false_starts += not remote.ready
        if (turn := remote.turn) is not None:
            self._losses[turn.number] += 1
            self._waiting.appendleft(turn)
        if self._false_starts == _FALSE_STARTS or (turn and self._losses[turn.number] == _LOSSES):
            raise PoolBroken(f"actors of the Ray cluster are lost again and again ({why:.300})")
        self._actors[self._actors.index(remote)] = self._actor()

    def _actor(self) -> _Remote:
        kind = _ray().remote(num_cpus=1, max_restarts=0, scheduling_strategy="SPREAD")(_Actor)
        actor = kind.remote(self._task, self._limits)
        return _Remote(actor, actor.environment.remote(), monotonic())


@dataclass(slots=True, eq=False)
class _Remote:
    """An actor, as the driver sees it: what it was asked last, and what it works on."""

    actor: Any
    answer: Any
    asked: float
    ready: bool = False
    turn: Turn | None = None

    def ask(self, answer: Any) -> None:
        self.answer, self.asked = answer, monotonic()


class _Actor:
    """An actor, as Ray runs it on some node: a pool of one worker that is given its shards."""

    def __init__(self, task: Task, limits: Limits) -> None:
        self._pool = Pool(task, None, 1, limits, threads=1).__enter__()
        self._results: Iterator[Done | None] = iter(())

    def environment(self) -> dict[str, Any]:
        """What the driver must have too."""
        return environment()

    def take(self, turn: Turn) -> Any:
        """Begin with a shard; answers as `go_on` does."""
        self._pool.take(turn)
        self._results = self._pool.results(_ANSWER)
        return self.go_on()

    def go_on(self) -> Any:
        """The result, or None where it takes longer."""
        done = next(self._results)
        return None if done is None else done.result


def _ray() -> Any:
    try:
        import ray
    except ModuleNotFoundError:
        raise RunRefused('--engine ray needs Ray: pip install "framing[ray]"') from None
    return ray


def _connect(address: str | None) -> bool:
    """Join the cluster; returns whether this was needed."""
    ray = _ray()
    if ray.is_initialized():
        return False
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    handler = signal.getsignal(signal.SIGTERM)
    try:
        _knock(address or "")
        ray.init(
            address=address,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    except (OSError, RuntimeError, ValueError) as error:
        what = " ".join(str(error).split())
        raise RunRefused(
            f"no Ray cluster at {address or 'this machine'} ({what:.200}): check --ray-address"
        ) from None
    finally:
        signal.signal(signal.SIGTERM, handler)  # Ray puts its own there
    return True


def _knock(address: str) -> None:
    """See that something answers at HOST:PORT: Ray itself would try for minutes."""
    host, _, port = address.rpartition(":")
    if host and "/" not in host and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), _KNOCK).close()


def _check(theirs: Mapping[str, Any]) -> None:
    """Refuse an actor that would not make what this machine makes."""
    mine, theirs = ({**e, **e["libraries"]} for e in (environment(), theirs))
    for name in mine:
        if name != "libraries" and theirs.get(name) != mine[name]:
            raise RunRefused(
                f"a node of the Ray cluster has another {name} ({theirs.get(name)}, here "
                f"{mine[name]}): install the same on all of them"
            )
