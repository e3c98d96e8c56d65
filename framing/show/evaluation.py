"""Evaluations as tables: for the terminal, and as Markdown for cards and papers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from framing.model.metrics import METRICS, Estimate, Figures
from framing.study.evaluate import Evaluation, Slice

MEAN = "mean of labels"
LABELS = ("label", "yes", "model", "prec.", "recall", "F1", "AP", "ECE")
PARTS = ("passages", "n", "model", "macro-F1", "mean AP", "mean ECE", "unsure", "wrong")
LEGEND = (
    "yes: passages the label holds for, by at least half of the coders. AP: average precision. "
    "ECE: expected calibration error. decided: without what the model is unsure of; unsure and "
    "wrong are the share set aside and the share of the rest decided wrongly, means of labels. "
    "Ranges: 95 % intervals, resampling documents."
)

Row = list[str | Estimate]


def evaluation_tables(evaluations: Sequence[Evaluation]) -> RenderableType:
    """Tables for a terminal of 80 columns or more, one or several models side by side.

    All evaluations must be of the same labels and the same parts of the same examples.
    """
    overview = Text(_overview(evaluations[0]), "bold")
    labels = _table(LABELS, _label_rows(evaluations), len(evaluations) > 1)
    parts = _table(PARTS, _part_rows(evaluations), len(evaluations) > 1)
    return Group(overview, labels, parts, Text(LEGEND, "dim"))


def evaluation_markdown(evaluations: Sequence[Evaluation]) -> str:
    """The same tables in Markdown."""
    return "\n\n".join(
        [
            _overview(evaluations[0]),
            _pipes(LABELS, _label_rows(evaluations)),
            _pipes(PARTS, _part_rows(evaluations)),
            LEGEND,
        ]
    )


def _overview(evaluation: Evaluation) -> str:
    part = evaluation.overall
    return f"{evaluation.examples}: {part.passages:,} passages of {part.documents:,} documents"


def _label_rows(evaluations: Sequence[Evaluation]) -> Iterator[Row]:
    """Every label, then the mean, with each model's figures on all passages."""
    for label in [*evaluations[0].overall.report.labels, MEAN]:
        for evaluation in evaluations:
            report = evaluation.overall.report
            figures = report.mean if label == MEAN else report.labels[label]
            cells = [getattr(figures, metric) for metric in METRICS]
            yield [label, f"{figures.support:g}", evaluation.model, *cells]


def _part_rows(evaluations: Sequence[Evaluation]) -> Iterator[Row]:
    """Means for each part, and for all passages under other readings of the coders."""
    for parts in zip(*(e.slices for e in evaluations), strict=True):
        for evaluation, part in zip(evaluations, parts, strict=True):
            yield [*_part_row(part.name, part, evaluation, part.report.mean), "", ""]
        for evaluation, part in zip(evaluations, parts, strict=True):
            row = _part_row(f"{part.name}, decided", part, evaluation, part.decided.mean)
            yield [*row, *(_percent(shares.values()) for shares in (part.unsure, part.wrong))]
    for evaluation in evaluations:
        part = evaluation.overall
        for rule, figures in part.rules.items():
            yield [*_part_row(f"{part.name}, {rule}", part, evaluation, figures), "", ""]


def _part_row(name: str, part: Slice, evaluation: Evaluation, mean: Figures) -> Row:
    figures = (mean.f1, mean.average_precision, mean.calibration_error)
    return [name, f"{part.passages:,}", evaluation.model, *figures]


def _table(heads: Sequence[str], rows: Iterable[Row], several: bool) -> Table:
    """A table with each interval below its figure; a name repeated from above is left out."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for head in heads:
        if several or head != "model":
            left = head in (heads[0], "model")
            table.add_column(head, justify="left" if left else "right", no_wrap=not left)
    above = None
    for name, count, model, *cells in rows:
        style = "bold" if name == MEAN else ""
        first = [name, count] if name != above else ["", ""]
        drawn = [stacked(cell, head) for cell, head in zip(cells, heads[3:], strict=True)]
        table.add_row(*map(str, first), *([str(model)] if several else []), *drawn, style=style)
        above = name
    return table


def _pipes(heads: Sequence[str], rows: Iterable[Row]) -> str:
    lines: list[Sequence[str]] = [heads, ["---"] * len(heads)]
    for row in rows:
        lines.append([_inline(cell, head) for cell, head in zip(row, heads, strict=True)])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def stacked(cell: str | Estimate, head: str) -> Text:
    """A cell of a table in the terminal: a figure with its interval below it."""
    if isinstance(cell, str):
        return Text(cell)
    text = Text(_number(cell.value, head))
    return text if math.isnan(cell.low) else text.append(f"\n{_interval(cell, head)}", "dim")


def _inline(cell: str | Estimate, head: str) -> str:
    if isinstance(cell, str):
        return cell.replace("|", "\\|")
    number = _number(cell.value, head)
    return number if math.isnan(cell.low) else f"{number} ({_interval(cell, head)})"


def _interval(estimate: Estimate, head: str) -> str:
    return f"{_number(estimate.low, head)}–{_number(estimate.high, head)}"


def _number(value: float, head: str) -> str:
    """Two digits; three for calibration errors, which are small."""
    digits = 3 if head.endswith("ECE") else 2
    return "–" if math.isnan(value) else f"{value:.{digits}f}".removeprefix("0")


def _percent(shares: Iterable[float]) -> str:
    known = [share for share in shares if not math.isnan(share)]
    return f"{100 * sum(known) / len(known):.1f} %" if known else "–"
