"""A run as it goes: a line that changes on a terminal, plain lines elsewhere, or JSON lines."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, TextIO

import orjson

from framing.corpus.run import Plan, State, Summary
from framing.corpus.survey import Overview
from framing.show.plain import plural, printable
from framing.text.columns import Columns

_SECONDS_BETWEEN_LINES = 10.0
_SECONDS_BETWEEN_DRAWINGS = 0.2
_WIDTH = 24
_PHASES = {"inputs": "reading and hashing the input", "copies": "looking for copies", "scoring": ""}


class Running:
    """Shows a run on `stream`: what was found, how it stands, how it ended.

    Parameters
    ----------
    stream
        Where to, usually stderr.
    as_json
        Each event as a line of JSON with its name under "event".
    clock
        Seconds from any moment on.
    """

    def __init__(
        self, stream: TextIO, as_json: bool = False, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._stream, self._as_json, self._clock = stream, as_json, clock
        self._live = not as_json and stream.isatty()
        self._pause = _SECONDS_BETWEEN_DRAWINGS if self._live else _SECONDS_BETWEEN_LINES
        self._phase = ""
        self._next = 0.0
        self._drawn = False

    def overview(self, seen: Overview) -> None:
        """Show by which columns the tables are read."""
        if self._as_json:
            self._log("overview", _overview_fields(seen))
        else:
            for line in overview_lines(seen):
                self._line(line)

    def state(self, state: State) -> None:
        """Show how it stands, unless that was shown a moment ago."""
        if state.phase != self._phase:
            self._phase, self._next = state.phase, 0.0
            if state.phase == "scoring" and state.before.documents and not self._as_json:
                done = plural(state.before.documents, "document")
                self._line(f"going on: {done} were done before")
        elif self._clock() < self._next:
            return
        self._next = self._clock() + self._pause
        if self._as_json:
            self._log("progress", _state_fields(state))
        elif self._live:
            self._stream.write(f"\r\x1b[K{_bar(state)}{_stands(state)}")
            self._stream.flush()
            self._drawn = True
        else:
            self._line(_stands(state))

    def summary(self, summary: Summary) -> None:
        """Show how it ended."""
        if self._as_json:
            self._log("done", _summary_fields(summary))
        else:
            for line in _summary_lines(summary):
                self._line(line)

    def clear(self) -> None:
        """Leave a clean line for whatever comes next."""
        if self._drawn:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
            self._drawn = False

    def _line(self, text: str) -> None:
        self.clear()
        self._stream.write(f"{text}\n")
        self._stream.flush()

    def _log(self, event: str, fields: dict[str, Any]) -> None:
        self._stream.write(orjson.dumps({"event": event, **fields}).decode() + "\n")
        self._stream.flush()


def overview_lines(seen: Overview) -> list[str]:
    """By which columns the tables are read, a line for each kind of table."""
    lines = []
    for shape in seen.shapes:
        others = f" and {plural(shape.files - 1, 'file')} like it" if shape.files > 1 else ""
        read = [f"{role} from {printable(repr(name))}" for role, name in _roles(shape.columns)]
        lines.append(
            f"{printable(shape.example)}{others}: {', '.join(read) or 'no text column found'}"
        )
    for lack in seen.lacking:
        lines.append(
            f"{plural(lack.files, 'file')} such as {printable(lack.example)} cannot be read "
            f'without one more package: pip install "framing[{lack.extra}]"'
        )
    return lines


def plan_json(plan: Plan, workers: int) -> str:
    """What a run would read, and how long it would take, as a line of JSON."""
    fields = {
        "event": "plan",
        "files": plan.files,
        "bytes": plan.bytes,
        "hidden": plan.hidden,
        **_overview_fields(plan.overview),
        "workers": workers,
        "documents_a_second": round(plan.documents_a_second, 2),
        "passages_a_second": round(plan.passages_a_second, 1),
        "seconds": None if plan.seconds is None else round(plan.seconds),
    }
    return orjson.dumps(fields).decode()


def plan_lines(plan: Plan, workers: int) -> list[str]:
    """What a run would read, and how long it would take."""
    hidden = f" ({_hidden(plan.hidden)})" if plan.hidden else ""
    lines = [
        f"{plural(plan.files, 'file')}, {_size(plan.bytes)}, "
        f"{_expected(plan.overview.documents, plan.overview.exact)}{hidden}",
        *overview_lines(plan.overview),
    ]
    if plan.seconds is None:
        return [*lines, "nothing at the beginning of the input could be scored"]
    return [
        *lines,
        f"about {duration(plan.seconds)} with {plural(workers, 'worker')}, at "
        f"{plan.documents_a_second:,.1f} documents and {plan.passages_a_second:,.0f} passages a "
        "second as measured just now",
    ]


def duration(seconds: float) -> str:
    """A time as people say it: "45 s", "3 min", "2 h 10 min", "3 days 4 h"."""
    minutes, hours = round(seconds / 60), round(seconds / 3600)
    if seconds < 100:
        return f"{seconds:.0f} s"
    if minutes < 100:
        return f"{minutes} min"
    if hours < 48:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{hours // 24} days {hours % 24} h"


def _roles(columns: Columns | None) -> list[tuple[str, str]]:
    """What is read from where; nothing for a table without text."""
    roles = ("text", "title", "id", "source", "date", "author")
    return [(role, name) for role in roles if (name := getattr(columns, role, None)) is not None]


def _size(count: int) -> str:
    return f"{count / 1e6:,.1f} MB" if count >= 1e6 else f"{count / 1e3:,.1f} kB"


def _hidden(entries: int) -> str:
    return f"{plural(entries, 'hidden entry')} left out".replace("entrys", "entries")


def _copies(count: int) -> str:
    return plural(count, "copy").replace("copys", "copies")


def _expected(documents: int, exact: bool) -> str:
    return plural(documents, "document") if exact else f"about {plural(documents, 'document')}"


def _bar(state: State) -> str:
    if not state.expected:
        return ""
    done = min(_WIDTH, _WIDTH * state.counts.documents // state.expected)
    return f"[{'#' * done}{'.' * (_WIDTH - done)}] "


def _stands(state: State) -> str:
    if state.phase == "inputs":
        return _PHASES["inputs"]
    counts = state.counts
    of = "" if state.expected is None else f" of {_expected(state.expected, state.exact)}"
    if state.phase == "copies":
        return f"{_PHASES['copies']}: {counts.documents:,}{of}{_left(state)}"
    if counts.documents == state.before.documents:
        return f"{counts.documents:,}{of} so far; the first shard is being scored"
    copies = f", {_copies(counts.copies)}"
    return (
        f"{counts.documents:,}{of}, {plural(counts.passages, 'passage')}"
        f"{copies if counts.copies else ''}, {plural(counts.errors, 'error')}; "
        f"{state.documents_a_second:,.1f} documents/s, {state.passages_a_second:,.0f} passages/s"
        f"{_left(state)}"
    )


def _left(state: State) -> str:
    return "" if state.seconds_left is None else f"; {duration(state.seconds_left)} left"


def _summary_lines(summary: Summary) -> list[str]:
    counts, before = summary.counts, summary.before
    now, passages = counts.documents - before.documents, counts.passages - before.passages
    seconds = max(summary.seconds, 1e-9)
    copies = f" + {_copies(counts.copies)}" if counts.copies else ""
    lines = [
        f"{plural(summary.rows_in, 'row')} in = {counts.scored:,} scored{copies} + "
        f"{plural(counts.errors, 'error')}",
        f"{plural(counts.passages, 'passage')} in {summary.out}",
        *([f"{_hidden(summary.hidden)} of the input"] if summary.hidden else []),
    ]
    if now:
        lines.append(
            f"{plural(now, 'document')} in {duration(seconds)}: {now / seconds:,.1f} documents/s, "
            f"{passages / seconds:,.0f} passages/s"
        )
    elif summary.rows_in:
        lines.append("all of it was there already")
    else:
        lines.append("this part holds no documents: the input has fewer shards than parts")
    if counts.errors:
        lines.append(
            f"errors, a row each: framing export {summary.out} -o errors.csv --table errors"
        )
        for reason, count in summary.reasons.items():
            such = "" if count == 1 else "such as "
            lines.append(f"  {count:,} {reason}: {such}{printable(summary.examples[reason])}")
    return lines


def _state_fields(state: State) -> dict[str, Any]:
    return {
        "phase": state.phase,
        **state.counts.to_dict(),
        "expected": state.expected,
        "exact": state.exact,
        "seconds": round(state.seconds, 1),
        "documents_a_second": round(state.documents_a_second, 2),
        "passages_a_second": round(state.passages_a_second, 1),
        "seconds_left": None if state.seconds_left is None else round(state.seconds_left),
    }


def _summary_fields(summary: Summary) -> dict[str, Any]:
    return {
        "out": str(summary.out),
        "rows_in": summary.rows_in,
        **summary.counts.to_dict(),
        "before": summary.before.to_dict(),
        "shards": summary.shards,
        "hidden": summary.hidden,
        "seconds": round(summary.seconds, 1),
        "reasons": dict(summary.reasons),
        "examples": dict(summary.examples),
    }


def _overview_fields(seen: Overview) -> dict[str, Any]:
    return {
        "documents": seen.documents,
        "exact": seen.exact,
        "tables": [
            {"example": shape.example, "files": shape.files, "columns": dict(_roles(shape.columns))}
            for shape in seen.shapes
        ],
        "lacking": [asdict(lack) for lack in seen.lacking],
    }
