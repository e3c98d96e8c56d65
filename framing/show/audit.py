"""Audits as tables: what was required, every label's figures, and cases that went wrong."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from rich import box
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from framing.model.metrics import Estimate
from framing.show.plain import plural, printable
from framing.study.audit import Audit, Part
from framing.study.behaviour import ANY, MEAN, Requirement

SHOWN = 2  # cases that went wrong, for each part that did not pass
FLIPS = {  # column: part
    "country": "swap country",
    "leader": "swap leader",
    "party": "swap party",
    "outlet": "swap outlet",
    "gender": "swap gender",
    "religion": "swap religion",
    "mask": "publisher mask",
}
TELLING = {  # column: (parts, measure)
    "put in": (("loaded put in", "startling put in"), "comes in"),
    "taken out": (("loaded taken out", "startling taken out"), "goes out"),
    "quoted": (("quotation",), "goes out"),
    "facts": (("neutral facts",), "free"),
    "typos": (("typos",), "F1 lost"),
}
NAMES = {"shift": "|Δp|", "comes in": "comes", "goes out": "goes"}
LEGEND = (
    "flips: share of cases in which a label changes; |Δp|: mean change of its probability; both of "
    "the label that changes most, named beside them. comes, goes, free: share of cases in which "
    "the label comes in, goes out, stays away. The figure decides; ranges are 95 % intervals, "
    "resampling events. Below: flips in %, then cases that went as they must in %, and F1 lost to "
    "typing errors."
)


def audit_tables(audit: Audit) -> RenderableType:
    """An audit for a terminal of 80 columns or more."""
    missed = sum(not part.passed for part in audit.parts)
    fate = f"{missed} missed" if missed else "all passed"
    head = Text(f"{audit.model}: {plural(len(audit.parts), 'part')}, {fate}", "bold")
    left_out = [Text(f"left out: {name} ({why})", "dim") for name, why in audit.left_out.items()]
    return Group(
        head,
        _requirements(audit.parts),
        *left_out,
        Text(LEGEND, "dim"),
        _labels([*audit.labels, ANY], _flips(audit.parts)),
        _labels([*audit.labels, ANY, MEAN], _telling(audit.parts)),
        *_misses(audit.parts),
    )


def audit_markdown(audit: Audit) -> str:
    """What was required and measured, and a case of each part that missed, in Markdown."""
    lines = ["| part | cases | required | measured | worst label |", "|---|---|---|---|---|"]
    for part in audit.parts:
        for requirement in part.requirements:
            cells = [cell.replace("|", "\\|") for cell in _cells(requirement)]
            mark = "✓" if requirement.met else "✗"
            lines.append(f"| {mark} {part.name} | " + " | ".join(cells) + " |")
    missed = [part for part in audit.parts if not part.passed and part.misses]
    cases = [
        f"- {part.name}: `{part.misses[0].label}` {_points(part.misses[0].p_before)} →"
        f" {_points(part.misses[0].p_after)} in “{printable(part.misses[0].after)}”"
        for part in missed
    ]
    return "\n".join([*lines, *(["", "Known failures:", "", *cases] if cases else [])])


class AuditBar:
    """Shows on a terminal how many passages are scored."""

    def __init__(self, console: Console) -> None:
        self.bar = Progress(
            TextColumn("passages"),
            BarColumn(),
            TextColumn("{task.completed:,.0f}/{task.total:,.0f}"),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
            transient=True,
        )
        self._task = self.bar.add_task("score", total=1)

    def show(self, done: int, total: int) -> None:
        """Draw that `done` of `total` passages are scored."""
        self.bar.update(self._task, completed=done, total=total)


def _requirements(parts: Sequence[Part]) -> Table:
    table = _table("part", "cases", "required", "measured", "worst label")
    for part in parts:
        name = part.name
        for requirement in part.requirements:
            mark = Text("✓ ", "green") if requirement.met else Text("✗ ", "red")
            style = "" if requirement.met else "bold"
            table.add_row(mark.append(name, style), *_cells(requirement), style=style)
            name = ""
    return table


def _cells(requirement: Requirement) -> tuple[str, str, str, str]:
    """Of how many cases, what is required, what was measured, and of which label."""
    found, limit = requirement.estimate, requirement.limit
    name = NAMES.get(requirement.measure, requirement.measure)
    sign = "≤" if requirement.at_most else "≥"
    if requirement.measure in ("shift", "F1 lost"):
        required = f"{name} {sign} {limit:.2f}".replace("0.", ".")
        measured = f"{_points(found.value)} ({_points(found.low)}–{_points(found.high)})"
    else:
        required = f"{name} {sign} {100 * limit:g} %"
        measured = f"{_share(found.value)} ({_share(found.low)}–{_share(found.high)})"
    if math.isnan(found.value):
        measured = "no such case"
    worst = requirement.label if requirement.label and found.value > 0 else ""
    return f"{found.n:,}", required, measured, worst


Columns = dict[str, dict[str, Estimate]]


def _flips(parts: Sequence[Part]) -> Columns:
    found = {part.name: part.figures for part in parts}
    return {head: dict(found[name]["flips"]) for head, name in FLIPS.items()}


def _telling(parts: Sequence[Part]) -> Columns:
    """The other parts' figures by column; of two parts in one column each has its own label."""
    columns: Columns = {}
    for head, (names, measure) in TELLING.items():
        chosen = [part.figures[measure] for part in parts if part.name in names]
        both = {label: found for row in chosen for label, found in row.items()}
        if len(chosen) > 1:
            both.pop(ANY, None)
        if both:
            columns[head] = both
    return columns


def _labels(labels: Sequence[str], columns: Columns) -> Table:
    """A row for each label that has a figure, each interval below its figure."""
    table = _table("label", *columns)
    for label in labels:
        cells = [_stacked(column.get(label), head) for head, column in columns.items()]
        if any(cells):
            table.add_row(label, *cells, style="bold" if label in (ANY, MEAN) else "")
    return table


def _stacked(found: Estimate | None, head: str) -> Text:
    if found is None or math.isnan(found.value):
        return Text("")
    number = _points if head == "typos" else _short
    text = Text(number(found.value))
    return text.append(f"\n{number(found.low)}–{number(found.high)}", "dim")


def _misses(parts: Sequence[Part]) -> Iterator[RenderableType]:
    """The clearest cases of each part that did not pass."""
    for part in parts:
        if part.passed:
            continue
        yield Text(f"\n✗ {part.name}: {part.what}", "bold")
        for miss in part.misses[:SHOWN]:
            moved = f"{miss.label} {_points(miss.p_before)} → {_points(miss.p_after)}"
            lines = Text(moved)
            if miss.before != miss.after:
                lines.append(f"\n- {printable(miss.before)}", "dim")
            lines.append(f"\n+ {printable(miss.after)}", "dim")
            yield Padding(lines, (0, 0, 0, 2))


def _table(*heads: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=0)
    for head in heads:
        left = head in ("part", "label", "required", "measured", "worst label")
        table.add_column(head, justify="left" if left else "right", no_wrap=True)
    return table


def _share(share: float) -> str:
    """Per cent with a digit behind the point; 100 without."""
    return "–" if math.isnan(share) else f"{100 * share:.1f}".replace("100.0", "100")


def _short(share: float) -> str:
    """Per cent, with a digit behind the point only where it is small or nearly all."""
    return f"{100 * share:.0f}" if 0.0995 <= share < 0.99 else _share(share)


def _points(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.3f}".replace("0.", ".", 1)
