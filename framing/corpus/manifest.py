"""What a run has pinned and what it has done: `run.json`, `sources.jsonl`, `manifest.jsonl`.

`run.json` holds what the output is a function of. `sources.jsonl` lists the input files, one to
a line, and `run.json` holds its hash. `manifest.jsonl` has a line for each committed shard, in
order, and a last line with the totals once all of them are; only what it lists is part of the
run. Times and host names are in none of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from framing.corpus import files
from framing.corpus.shard import Key
from framing.corpus.tables import NAMES, Counts, Tables

RUN, SOURCES, MANIFEST, COPIES, LOG = (
    "run.json",
    "sources.jsonl",
    "manifest.jsonl",
    "copies.parquet",
    "log.jsonl",
)

_COPIES_PIN = "copies"  # its hash, which is known only when the copies have been found
_FILES_NAMED = 3


class RunRefused(Exception):  # noqa: N818 - a refusal, in one line: what, where, what to do
    """A folder in which this run cannot begin or go on."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A committed shard: the keys of its first item and of the next shard's, and its files.

    `files` has, for each path in the folder, the size and the SHA-256.
    """

    shard: int
    first: Key
    next: Key
    counts: Counts
    files: Mapping[str, Mapping[str, Any]]

    @classmethod
    def of(cls, number: int, first: Key, next: Key, tables: Tables) -> Entry:
        """The entry of a shard's tables."""
        described = {
            f"{table}/{number:08d}.parquet": {"bytes": len(data), "sha256": files.sha256(data)}
            for table, data in tables.files.items()
        }
        return cls(number, first, next, tables.counts, described)

    def to_line(self) -> bytes:
        """The line of the manifest."""
        head = {"shard": self.shard, "first": self.first, "next": self.next}
        return _json(head | self.counts.to_dict() | {"files": self.files})


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run has come: the last committed shard, if any, and the sums up to it.

    `complete` says whether the last line is there too.
    """

    last: Entry | None
    counts: Counts
    shards: int
    complete: bool

    def after(self, entry: Entry) -> Progress:
        """One shard further."""
        return Progress(entry, self.counts + entry.counts, self.shards + 1, False)


def start(out: Path, pins: Mapping[str, Any], sources: bytes) -> None:
    """Make `out` a run with these pins, of which nothing is done yet; what it held is undone."""
    # In this order a death anywhere leaves an old run undone or a new one not begun.
    files.write_whole(out / MANIFEST, b"")
    files.remove(out / COPIES)
    files.write_whole(out / SOURCES, sources)
    files.write_whole(out / RUN, _json(pins, indent=1) + b"\n")


def resume(out: Path, sources: bytes) -> Progress:
    """Find out how far a run has come, and remove what its manifest does not list.

    Raises
    ------
    RunRefused
        The manifest is damaged, or what it lists is not there as it was written.
    """
    if not (out / MANIFEST).exists():
        raise RunRefused(f"{out / MANIFEST} is gone: put it back, or begin anew with --restart")
    files.mend(out / MANIFEST)
    if not (out / SOURCES).exists() or (out / SOURCES).read_bytes() != sources:
        files.write_whole(out / SOURCES, sources)
    for name in NAMES:
        files.make_folder(out / name)
    progress = read_progress(out)
    _sweep(out)
    return progress


def pin_copies(out: Path, found: bytes) -> None:
    """Write down which documents are copies, and that this is what the run goes on with."""
    files.write_whole(out / COPIES, found)
    pins = {**(read_pins(out) or {}), _COPIES_PIN: files.sha256(found)}
    files.write_whole(out / RUN, _json(pins, indent=1) + b"\n")


def has_copies(out: Path) -> bool:
    """Whether it is written down already which documents are copies.

    Raises
    ------
    RunRefused
        Something else is.
    """
    pinned = (read_pins(out) or {}).get(_COPIES_PIN)
    if pinned is None or not (out / COPIES).exists():
        return False
    if files.sha256((out / COPIES).read_bytes()) != pinned:
        raise RunRefused(
            f"{out / COPIES} is not the file that the run wrote: put it back, or begin anew with "
            "--restart"
        )
    return True


def is_begun(out: Path) -> bool:
    """Whether there is anything in the folder that was worth the work."""
    return (out / COPIES).exists() or (
        (out / MANIFEST).exists() and (out / MANIFEST).stat().st_size > 0
    )


def undo(out: Path) -> None:
    """Take back a run that is not begun."""
    # In this order a death anywhere leaves a run that goes on, or a folder where one can begin.
    _sweep(out)
    files.remove_folders(*(out / name for name in NAMES))
    files.remove(out / RUN)
    files.remove(out / SOURCES, out / MANIFEST)


def commit(out: Path, entry: Entry, tables: Tables) -> None:
    """Write a shard's tables, then the line that makes them part of the run."""
    for name, data in zip(entry.files, tables.files.values(), strict=True):
        files.write_whole(out / name, data)
    files.append_line(out / MANIFEST, entry.to_line())


def complete(out: Path, progress: Progress) -> None:
    """Write the last line."""
    totals = {"complete": True, "shards": progress.shards, **progress.counts.to_dict()}
    files.append_line(out / MANIFEST, _json(totals))


def read_progress(out: Path) -> Progress:
    """Sum the manifest up, and check that the files it lists have the size they should have."""
    progress = Progress(None, Counts(), 0, False)
    for entry in read_entries(out):
        if entry is None:
            return replace(progress, complete=True)
        progress = progress.after(entry)
        for name, about in entry.files.items():
            if not (out / name).is_file() or (out / name).stat().st_size != about["bytes"]:
                raise RunRefused(
                    f"{out / name} is not the file that the run wrote ({about['bytes']:,} bytes): "
                    f"put it back, or cut {MANIFEST} off from line {progress.shards} on to score "
                    "from there again"
                )
    return progress


def read_entries(out: Path) -> Iterator[Entry | None]:
    """The manifest's shards, in order; None stands for the last line of a complete run.

    Raises
    ------
    RunRefused
        A line is not one that a run writes.
    """
    path = out / MANIFEST
    ended = False
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if not line.endswith(b"\n"):
                return  # not committed
            try:
                if ended:
                    raise ValueError("after the end")
                row = json.loads(line)
                ended = "complete" in row
                yield None if ended else _entry(row)
            except (ValueError, KeyError, TypeError):
                raise RunRefused(
                    f"{path}, line {number}: damaged; cut the file off from there on to score "
                    "from there again, or begin anew with --restart"
                ) from None


def _entry(row: Mapping[str, Any]) -> Entry:
    counts = Counts(**{name: row[name] for name in ("scored", "copies", "errors", "passages")})
    (a, b), (c, d) = row["first"], row["next"]
    return Entry(row["shard"], (a, b), (c, d), counts, row["files"])


def _sweep(out: Path) -> None:
    """Remove every file of a table that the manifest does not list, and files half written."""
    files.remove(*out.glob(".*.part"))
    left = {
        path
        for name in NAMES
        for path in (out / name).glob("*")
        if path.suffix in (".parquet", ".part")
    }
    if left:
        for entry in read_entries(out):
            left -= {out / name for name in (entry.files if entry else ())}
    files.remove(*sorted(left))


def check_folder(out: Path) -> None:
    """Refuse a folder that holds something, but no run.

    Raises
    ------
    RunRefused
        Names what is in the way.
    """
    if not out.exists() or (out / RUN).exists():
        return
    if not out.is_dir():
        raise RunRefused(f"{out} is a file: name a folder after -o")
    ours = {MANIFEST, SOURCES, LOG, files.LOCK}
    for other in sorted(out.iterdir()):
        if other.name not in ours and not other.name.endswith(".part"):
            raise RunRefused(
                f"{out} holds {other.name} and no {RUN}: it is not the output of a run; "
                "name a new or empty folder after -o"
            )


def read_pins(out: Path) -> dict[str, Any] | None:
    """What `run.json` pins, or None where no run has begun in the folder.

    Raises
    ------
    RunRefused
        The folder holds something else, or `run.json` cannot be read.
    """
    check_folder(out)
    if not (out / RUN).exists():
        return None
    try:
        pins = json.loads((out / RUN).read_bytes())
    except ValueError:
        pins = None
    if not isinstance(pins, dict):
        raise RunRefused(f"{out / RUN} is damaged: put it back, or begin anew with --restart")
    return pins


def check_pins(out: Path, old: Mapping[str, Any], new: Mapping[str, Any], sources: bytes) -> None:
    """Refuse to go on with anything but what the run began with.

    Raises
    ------
    RunRefused
        Names every option or field that differs, with its old and new value.
    """
    was, now = dict(_flat(_named(old))), dict(_flat(_named(new)))
    changed: list[_Change] = [
        _change(field, was.get(field, "absent"), now.get(field, "absent"))
        for field in was | now
        if not field.startswith("sources.") and was.get(field) != now.get(field)
    ]
    if old.get("sources") != new["sources"]:
        changed += _changed_sources(out, sources)
    if changed:
        named = (f"{what}: {_short(a)} then, {_short(b)} now" for what, a, b in changed)
        raise RunRefused(
            f"{out} was begun otherwise ({'; '.join(named)}): put that back, name another folder "
            "after -o, or begin anew with --restart"
        )


_Change = tuple[str, Any, Any]
_AS_LISTED = f"as in {SOURCES}"
_OPTIONS = {"options.documents": "--shard-documents", "part": "--shard", "bundle": "--model"}


def _named(pins: Mapping[str, Any]) -> dict[str, Any]:
    """The pins that a new run has too, bundle and codebook each as a name with its fingerprint."""
    return {
        field: f"{value['name']} ({_short(value['fingerprint'])})"
        if field in ("bundle", "codebook")
        else value
        for field, value in pins.items()
        if field != _COPIES_PIN
    }


def _change(field: str, was: Any, now: Any) -> _Change:
    """What differs, in the words of the command line where an option sets it."""
    option = _OPTIONS.get(field.split("[")[0])
    if option is None and field.startswith("options.columns."):
        option = f"--{field.rpartition('.')[2]}-column"
    elif option is None and field.startswith("options."):
        option = "--" + field.removeprefix("options.").replace("_", "-")
    return (option, _given(was), _given(now)) if option else (field, was, now)


def _given(value: Any) -> Any:
    """A value as it stands after an option."""
    match value:
        case None | False | "absent":
            return "not given"
        case True:
            return "given"
        case [part, parts]:
            return f"{part}/{parts}"
    return value


def _changed_sources(out: Path, sources: bytes) -> list[_Change]:
    """The input files that are not what they were; the first of them, if they are many."""
    try:
        before = (out / SOURCES).read_bytes().splitlines()
        was = {row["name"]: row for row in map(json.loads, before)}
    except (OSError, ValueError):
        return [("input", _AS_LISTED, "another")]
    now = {row["name"]: row for row in map(json.loads, sources.splitlines())}
    changed: list[_Change] = []
    for name in was | now:
        a, b = was.get(name), now.get(name)
        if a is None or b is None:
            there = {True: "there", False: "absent"}
            changed.append((f"input file {name}", there[a is not None], there[b is not None]))
        elif a != b:
            field = "size" if a["size"] != b["size"] else "sha256"
            changed.append((f"{field} of input file {name}", a[field], b[field]))
    if len(changed) > _FILES_NAMED:
        more = len(changed) - _FILES_NAMED
        changed[_FILES_NAMED:] = [(f"state of {more:,} more input files", _AS_LISTED, "another")]
    return changed or [("order of the input files", _AS_LISTED, "another")]


def _flat(pins: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in pins.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return f"{text[:12]}…" if len(text) == 64 else text


def _json(value: Any, indent: int | None = None) -> bytes:
    return json.dumps(value, indent=indent, sort_keys=indent is not None).encode()
