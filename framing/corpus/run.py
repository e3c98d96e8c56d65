"""A run: many documents from files into tables, and never a row lost.

The parent process, which is the one here, is the only one that writes. It neither parses nor
scores: one child reads, others score, and whatever becomes of them it commits shard after shard,
in order, so that what lies in the folder is a function of the input, the bundle, the options and
the version, and of nothing else.
"""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from framing.corpus import files, manifest
from framing.corpus.environment import environment
from framing.corpus.inputs import Source, find_sources
from framing.corpus.manifest import COPIES, Entry, Progress, RunRefused
from framing.corpus.roles import Feed, Task
from framing.corpus.scoring import RunOptions, Scoring, open_for, provenance
from framing.corpus.session import held
from framing.corpus.survey import Overview, check_columns, overview
from framing.corpus.tables import SCHEMA, Counts
from framing.corpus.work import Done, Pool
from framing.model.bundle import Bundle
from framing.text.document import Failure, Reason

Part = tuple[int, int]
Tell = Callable[[Counts], None]


class Results(Protocol):
    """Processes at work."""

    def results(self) -> Iterator[Done | None]:
        """Yield the results in the order of the shards, and None about once a second."""
        ...


#: Called with what is done with each shard, what is read, and how many processes do it.
Engine = Callable[[Task, Feed, int], AbstractContextManager[Results]]

_NONE = Counts()
_PLAN_SECONDS = 10.0
_PLAN_INTERVAL = 0.5  # less tells nothing of the rate
_PLAN_DOCUMENTS = 8  # to a shard, so that figures come soon


class RowsLost(Exception):  # noqa: N818 - it must never come, and it says what it says
    """A shard's tables have another number of documents than were read."""


@dataclass(frozen=True, slots=True)
class State:
    """How a run stands.

    Attributes
    ----------
    phase
        What is being done: "inputs" are hashed, "copies" are looked for, or "scoring".
    counts
        What has been committed, in this session and before (of "copies": looked at).
    before
        The documents and passages among them from earlier sessions.
    expected, exact
        How many documents there are in all, and whether that is counted or estimated.
    seconds, committed
        Since the phase began, until now and until the last shard was committed.
    """

    phase: str
    counts: Counts = _NONE
    before: Counts = _NONE
    expected: int | None = None
    exact: bool = False
    seconds: float = 0.0
    committed: float = 0.0

    @property
    def documents_a_second(self) -> float:
        """In this session."""
        return _rate(self.counts.documents - self.before.documents, self.committed)

    @property
    def passages_a_second(self) -> float:
        """In this session."""
        return _rate(self.counts.passages - self.before.passages, self.committed)

    @property
    def seconds_left(self) -> float | None:
        """How long it will take from here, at this rate; None while nobody can say."""
        if self.expected is None or not self.documents_a_second:
            return None
        left = max(0, self.expected - self.counts.documents) / self.documents_a_second
        waited = self.seconds - self.committed
        return left - waited if left >= waited else None


@dataclass(frozen=True, slots=True)
class Summary:
    """What a run did: ``rows_in == scored + copies + errors``, or it would not have ended.

    `counts` are of the whole run, `before` those that earlier sessions had done, `hidden` how many
    hidden files and folders were left out of the input, `seconds` of this session, `reasons` how
    many errors there are of each reason, most frequent first, and `examples` the first of each.
    """

    out: Path
    rows_in: int
    counts: Counts
    before: Counts
    shards: int
    hidden: int
    seconds: float
    reasons: Mapping[str, int]
    examples: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run would read, and how fast; the rates are 0 where nothing could be scored."""

    files: int
    bytes: int
    hidden: int
    overview: Overview
    documents_a_second: float
    passages_a_second: float

    @property
    def seconds(self) -> float | None:
        """The whole run, at this rate."""
        rate = self.documents_a_second
        return self.overview.documents / rate if rate else None


def run(
    inputs: Sequence[str],
    out: str | os.PathLike[str],
    *,
    model: str = "core-en",
    options: RunOptions | None = None,
    workers: int = 1,
    part: Part = (1, 1),
    restart: bool = False,
    engine: Engine = Pool,
    on_overview: Callable[[Overview], None] = lambda _: None,
    on_progress: Callable[[State], None] = lambda _: None,
) -> Summary:
    """Score everything in `inputs` into the folder `out`, or go on where an earlier run stopped.

    Parameters
    ----------
    inputs
        Files, folders and globs.
    out
        A new or empty folder, or one in which the same run has begun.
    model
        A bundle: a shipped name or a folder.
    options
        What decides the output.
    workers
        Processes that score; the output does not depend on how many.
    part
        (I, N): do only every N-th shard, from the I-th (counting from 1) on.
    restart
        Throw away what an earlier run, this one or another, has left in `out`.
    engine
        What makes the processes; they are on this machine by default.
    on_overview, on_progress
        Told what was found in the inputs, and about every second how it stands.

    Raises
    ------
    RunRefused
        `out` is no place for this run: one line that says why and what to do.
    Busy
        Another run is writing to `out`.
    InputError, BundleError
        The inputs or the bundle.
    OSError
        The machine failed: what was committed is safe, and the same call goes on from there.
    PoolBroken
        So did the worker processes.
    """
    began = time.monotonic()
    options = options or RunOptions()
    out = Path(out)
    manifest.check_folder(out)  # before there is a lock in it
    _check_apart(inputs, out)
    with held(out, workers):
        bundle = open_for(model, options)
        on_progress(State("inputs"))
        found = find_sources(inputs)
        sources = found.sources
        listed = _listed(sources)
        pins = _pins(bundle, options, part, sources, listed)
        old = None if restart else manifest.read_pins(out)
        seen = None
        if old is None:
            seen = overview(sources, options.columns)
            check_columns(options.columns, seen)
            manifest.start(out, pins, listed)
        else:
            manifest.check_pins(out, old, pins, listed)
        progress = before = manifest.resume(out, listed)
        if not progress.complete:
            seen = overview(sources, options.columns)
            on_overview(seen)
            feed = Feed(sources, options.columns, documents=options.documents, size=options.size)
            if options.dedup and not manifest.has_copies(out):
                from framing.corpus.dedup import Sketching

                state = State("copies", expected=seen.documents, exact=seen.exact)
                sketching = Sketching(None if options.any_language else bundle.language)
                with engine(sketching, feed, workers) as pool:
                    _find_copies(out, pool, _telling(on_progress, state))
            feed = replace(feed, part=part, copies=out / COPIES if options.dedup else None)
            if progress.last is not None:
                feed = replace(feed, start=progress.last.next, number=progress.last.shard + 1)
            expected = seen.documents // part[1]
            state = State("scoring", before.counts, before.counts, expected, seen.exact)
            scoring = Scoring(model, bundle.fingerprint, options)
            with engine(scoring, feed, workers) as pool:
                progress = _score(out, pool, progress, _telling(on_progress, state))
            manifest.complete(out, progress)
    counts = progress.counts
    seconds = time.monotonic() - began
    reasons, examples = _errors(out)
    return Summary(
        out,
        counts.documents,
        counts,
        before.counts,
        progress.shards,
        found.hidden,
        seconds,
        reasons,
        examples,
    )


def plan(
    inputs: Sequence[str],
    *,
    model: str = "core-en",
    options: RunOptions | None = None,
    workers: int = 1,
) -> Plan:
    """Look at what a run would read, and measure for some seconds how fast; nothing is written.

    Raises
    ------
    RunRefused, InputError, BundleError, PoolBroken
        As for :func:`run`.
    """
    options = options or RunOptions()
    bundle = open_for(model, options)
    found = find_sources(inputs)
    seen = overview(found.sources, options.columns)
    check_columns(options.columns, seen)
    feed = Feed(found.sources, options.columns, documents=_PLAN_DOCUMENTS)
    came: list[tuple[float, Counts]] = []
    total = _NONE
    with Pool(Scoring(model, bundle.fingerprint, options), feed, workers) as pool:
        began = time.monotonic()
        for done in pool.results():
            if done is not None:
                total += done.result.counts
                came.append((time.monotonic() - began, total))
            if total.documents and time.monotonic() - began > _PLAN_SECONDS:
                break
    size = sum(source.size for source in found.sources)
    return Plan(
        len(found.sources),
        size,
        found.hidden,
        seen,
        *_pace(came, workers),
    )


def _pace(came: Sequence[tuple[float, Counts]], workers: int) -> tuple[float, float]:
    """Documents and passages a second, by when each shard came, with the sums up to it.

    The start, with the shard that each worker began with, is left out where as many come after it.
    """
    (start, before), (ended, total) = came[min(workers, len(came)) - 1], came[-1]
    if len(came) < 2 * workers or ended - start < _PLAN_INTERVAL:
        start, before = 0.0, _NONE
    seconds = ended - start
    documents, passages = total.documents - before.documents, total.passages - before.passages
    return _rate(documents, seconds), _rate(passages, seconds)


def _score(out: Path, pool: Results, progress: Progress, tell: Tell) -> Progress:
    """Commit shard after shard, from where `progress` stands to the end."""
    for done in pool.results():
        if done is not None:
            entry = Entry.of(done.number, done.first, done.next, done.result)
            if entry.counts.documents != done.items:
                raise RowsLost(
                    f"shard {done.number}: {done.items} documents were read and "
                    f"{entry.counts.documents} have a row; please report this"
                )
            manifest.commit(out, entry, done.result)
            progress = progress.after(entry)
        tell(progress.counts)
    return progress


def _find_copies(out: Path, pool: Results, tell: Tell) -> None:
    """Look at all documents once, and write down which are copies."""
    from framing.corpus.dedup import Firsts

    firsts, looked_at = Firsts(), 0
    for done in pool.results():
        if done is not None:
            looked_at += done.items
            for key, sketch in done.result:
                firsts.add(key, sketch)
        tell(Counts(scored=looked_at))
    manifest.pin_copies(out, firsts.copies().to_bytes())


def _telling(on_progress: Callable[[State], None], state: State) -> Tell:
    """Keep `on_progress` told of how a phase that begins now stands."""
    began = time.monotonic()

    def tell(counts: Counts) -> None:
        nonlocal state
        seconds = time.monotonic() - began
        committed = state.committed if counts == state.counts else seconds
        state = replace(state, counts=counts, seconds=seconds, committed=committed)
        on_progress(state)

    return tell


# --- what a run is a function of --------------------------------------------------------------


def _pins(
    bundle: Bundle, options: RunOptions, part: Part, sources: Sequence[Source], listed: bytes
) -> dict[str, Any]:
    """Everything that decides the output, as it stands in `run.json`."""
    pins: dict[str, Any] = {"schema": SCHEMA, **provenance(bundle, options).to_dict()}
    if options.dedup:
        from framing.corpus.dedup import method

        pins["dedup"] = method()
    pins["part"] = list(part)
    pins["sources"] = {
        "files": len(sources),
        "bytes": sum(source.size for source in sources),
        "sha256": files.sha256(listed),
    }
    return pins | environment()


def _listed(sources: Sequence[Source]) -> bytes:
    """The input files, a line of JSON each."""
    rows = ({"name": s.name, "size": s.size, "sha256": s.sha256} for s in sources)
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def _check_apart(inputs: Sequence[str], out: Path) -> None:
    """Refuse an output folder that the run would read as its own input."""
    for given in inputs:
        if out.resolve().is_relative_to(Path(given).resolve()):
            raise RunRefused(f"{out} lies in the input {given}: name a folder elsewhere after -o")


def _errors(out: Path) -> tuple[dict[str, int], dict[str, str]]:
    """How many errors there are of each reason, the most frequent first, and one of each."""
    import pyarrow.parquet as pq

    found: Counter[str] = Counter()
    examples: dict[str, str] = {}
    for path in sorted((out / "errors").glob("*.parquet")):
        columns = ["reason", "source_file", "where", "message"]
        for row in pq.read_table(path, columns=columns).to_pylist():
            reason, *failure = (row[column] for column in columns)
            found[reason] += 1
            if reason not in examples:
                name, where, message = failure
                examples[reason] = str(Failure(name, Reason(reason), message, where))
    return dict(found.most_common()), examples


def _rate(count: int, seconds: float) -> float:
    return count / seconds if seconds > 0 else 0.0
