"""The parts of a run that was divided among jobs, joined into what one job would have written."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from framing.corpus import files, manifest
from framing.corpus.manifest import COPIES, SOURCES, Entry, RunRefused, read_entries
from framing.corpus.tables import Counts, Tables

Placed = tuple[Entry, Path]


def merge(parts: Sequence[Path], out: Path) -> Counts:
    """Join complete parts, given in any order, into the run `out`, or go on where that stopped.

    The parts stay as they are. `out` becomes, byte for byte, what a run without `--shard` would
    have written; only the log of times and hosts is not there.

    Raises
    ------
    RunRefused
        They are not all the parts of one run, or one of them is not complete or is damaged.
    Busy
        Another process is writing to `out`.
    OSError
        The machine failed: the same call goes on from there.
    """
    pins = {**_checked(parts), "part": [1, 1]}
    listed = (parts[0] / SOURCES).read_bytes()
    copies = manifest.has_copies(parts[0])
    manifest.read_pins(out)  # a folder that is not ours stays as it is, without a lock in it
    with files.lock(out):
        old = manifest.read_pins(out)
        if old is None:
            manifest.start(out, pins, listed)
        else:
            manifest.check_pins(out, old, pins, listed)
        progress = manifest.resume(out, listed)
        if progress.complete:
            return progress.counts
        if copies:
            files.write_whole(out / COPIES, (parts[0] / COPIES).read_bytes())
        for entry, part in islice(_in_order(parts), progress.shards, None):
            manifest.commit(out, entry, _tables(entry, part))
            progress = progress.after(entry)
        manifest.complete(out, progress)
    return progress.counts


def _checked(parts: Sequence[Path]) -> dict[str, Any]:
    """The pins of one part, where these are all the parts of one run."""
    first = _pins(parts[0])
    of = first["part"][1]
    found: dict[int, Path] = {}
    for part in parts:
        pins = _pins(part)
        number, its_of = pins["part"]
        differs = [name for name in first if name != "part" and first[name] != pins.get(name)]
        if differs or its_of != of:
            raise RunRefused(
                f"{part} and {parts[0]} are not parts of one run: their {manifest.RUN} differ in "
                f"{differs[0] if differs else 'how many parts there are'}"
            )
        if number in found:
            raise RunRefused(f"{part} and {found[number]} are both part {number}/{of}: name one")
        if not manifest.read_progress(part).complete:
            raise RunRefused(f"{part} is not complete: run its command again to finish it")
        found[number] = part
    if missing := [f"{number}/{of}" for number in range(1, of + 1) if number not in found]:
        raise RunRefused(f"parts are missing ({', '.join(missing)}): name their folders too")
    return first


def _pins(part: Path) -> dict[str, Any]:
    pins = manifest.read_pins(part)
    if pins is None:
        raise RunRefused(f"{part} is not the output of a run: name the folders of the parts")
    return pins


def _in_order(parts: Sequence[Path]) -> Iterator[Placed]:
    """The shards of all parts, each beginning where the one before it ended."""
    streams = map(_placed, parts)
    before: Entry | None = None
    for entry, part in heapq.merge(*streams, key=lambda placed: placed[0].shard):
        if before is not None and (entry.shard, entry.first) != (before.shard + 1, before.next):
            raise RunRefused(
                f"{part / manifest.MANIFEST}: shard {entry.shard} does not follow shard "
                f"{before.shard} of the other parts"
            )
        yield entry, part
        before = entry


def _placed(part: Path) -> Iterator[Placed]:
    return ((entry, part) for entry in read_entries(part) if entry is not None)


def _tables(entry: Entry, part: Path) -> Tables:
    """A shard's tables, as they were written."""
    read = {}
    for name, about in entry.files.items():
        data = (part / name).read_bytes()
        if files.sha256(data) != about["sha256"]:
            raise RunRefused(f"{part / name} is not the file that the run wrote: put it back")
        read[Path(name).parent.name] = data
    return Tables(entry.counts, read)
