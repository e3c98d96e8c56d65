"""Agreement between coders as tables for the terminal."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from framing.model.metrics import Estimate
from framing.show.evaluation import MEAN
from framing.show.plain import percent, plural, printable
from framing.study.agreement import FIGURES, Agreement, Figures

HEADS = ("n", "yes", "α", "agreement", "F1")
PAIRS_SHOWN = 20
LEGEND = (
    "n: passages coded by two or more. yes: share of their codes. α: Krippendorff's alpha, 1 is "
    "full agreement, 0 what chance would give; by his convention .80 and more is reliable, .667 to "
    ".80 allows tentative conclusions. agreement: share of pairs of codes that are equal. F1: of "
    "yes, one coder against another. –: not defined, as nobody said yes (or nobody no); left out "
    "of the mean. Ranges: 95 % intervals, resampling documents; none where no resample differs, "
    "and – for fewer than 10 documents, which say too little about others."
)
FEWEST_DOCUMENTS = 10


def agreement_tables(agreement: Agreement) -> RenderableType:
    """Tables for a terminal of 80 columns or more; the pairs where there are several."""
    part = agreement.overall
    overview = (
        f"{printable(agreement.codes)}: {plural(part.passages, 'passage')} of "
        f"{plural(part.documents, 'document')}, coded by two or more of "
        f"{plural(len(agreement.coders), 'coder')}"
    )
    rows = [*part.labels.items(), (MEAN, part.mean)]
    shown: list[RenderableType] = [
        Text(overview, "bold"),
        _figures("label", rows, [part.documents] * len(rows)),
    ]
    if len(agreement.parts) > 1:
        means = [(p.name, p.mean) for p in agreement.parts]
        shown.append(_figures("passages", means, [p.documents for p in agreement.parts]))
    if len(agreement.coders) > 2:
        shown.append(_pairs(agreement))
    return Group(*shown, Text(LEGEND, "dim"))


def _figures(head: str, rows: Iterable[tuple[str, Figures]], documents: Iterable[int]) -> Table:
    table = _table([head], HEADS)
    for (name, figures), count in zip(rows, documents, strict=True):
        yes = "–" if math.isnan(figures.yes) else percent(figures.yes)
        drawn = (_stacked(getattr(figures, figure), count) for figure in FIGURES)
        style = "bold" if name == MEAN else ""
        table.add_row(Text(printable(name)), f"{figures.passages:,}", yes, *drawn, style=style)
    return table


def _stacked(found: Estimate, documents: int) -> Text:
    """A figure with its interval below it, where documents are enough for one."""
    text = Text(_number(found.value))
    if math.isnan(found.low):
        return text
    few = documents < FEWEST_DOCUMENTS
    return text.append("\n–" if few else f"\n{_number(found.low)}–{_number(found.high)}", "dim")


def _number(value: float) -> str:
    """Two digits, without the nought before the point."""
    if math.isnan(value):
        return "–"
    digits = f"{abs(value):.2f}".removeprefix("0")
    return f"−{digits}" if value < 0 and digits != ".00" else digits


def _pairs(agreement: Agreement) -> Table:
    """The pairs with the most passages in common."""
    table = _table(["coder", "and"], ["n", "mean α"])
    for pair in agreement.pairs[:PAIRS_SHOWN]:
        names = (Text(printable(coder)) for coder in pair.coders)
        table.add_row(*names, f"{pair.passages:,}", _number(pair.alpha))
    more = len(agreement.pairs) - PAIRS_SHOWN
    if more > 0:
        table.caption = f"and {plural(more, 'pair')} more: --json has them all"
        table.caption_justify = "left"
    return table


def _table(left: Sequence[str], right: Sequence[str]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for head in left:
        table.add_column(head, overflow="fold")
    for head in right:
        table.add_column(head, justify="right", no_wrap=True)
    return table
