"""Agreement between coders as tables for the terminal."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from framing.model.metrics import Estimate
from framing.show.evaluation import MEAN, stacked
from framing.show.plain import percent, plural, printable
from framing.study.agreement import FIGURES, Agreement, Figures

HEADS = ("n", "yes", "α", "agreement", "F1")
PAIRS_SHOWN = 20
LEGEND = (
    "n: passages coded by two or more. yes: share of their codes. α: Krippendorff's alpha, 1 is "
    "full agreement, 0 what chance would give; by his convention .80 and more is reliable, .667 to "
    ".80 allows tentative conclusions. agreement: share of pairs of codes that are equal. F1: of "
    "yes, one coder against another. –: not defined, as nobody said yes (or nobody no); left out "
    "of the mean. Ranges: 95 % intervals, resampling documents; none where no resample differs."
)


def agreement_tables(agreement: Agreement) -> RenderableType:
    """Tables for a terminal of 80 columns or more; the pairs where there are several."""
    part = agreement.overall
    overview = (
        f"{printable(agreement.codes)}: {plural(part.passages, 'passage')} of "
        f"{plural(part.documents, 'document')}, coded by two or more of "
        f"{plural(len(agreement.coders), 'coder')}"
    )
    rows = [*part.labels.items(), (MEAN, part.mean)]
    shown: list[RenderableType] = [Text(overview, "bold"), _figures("label", rows)]
    if len(agreement.parts) > 1:
        shown.append(_figures("passages", [(p.name, p.mean) for p in agreement.parts]))
    if len(agreement.coders) > 2:
        shown.append(_pairs(agreement))
    return Group(*shown, Text(LEGEND, "dim"))


def _figures(head: str, rows: Iterable[tuple[str, Figures]]) -> Table:
    table = _table([head], HEADS)
    for name, figures in rows:
        cells: list[str | Estimate] = [
            f"{figures.passages:,}",
            "–" if math.isnan(figures.yes) else percent(figures.yes),
            *(getattr(figures, figure) for figure in FIGURES),
        ]
        drawn = (stacked(cell, column) for cell, column in zip(cells, HEADS, strict=True))
        table.add_row(Text(printable(name)), *drawn, style="bold" if name == MEAN else "")
    return table


def _pairs(agreement: Agreement) -> Table:
    """The pairs with the most passages in common."""
    table = _table(["coder", "and"], ["n", "mean α"])
    for pair in agreement.pairs[:PAIRS_SHOWN]:
        alpha = Estimate(pair.alpha, math.nan, math.nan, pair.passages, "")
        names = (Text(printable(coder)) for coder in pair.coders)
        table.add_row(*names, f"{pair.passages:,}", stacked(alpha, "α"))
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
