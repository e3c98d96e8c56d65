"""Scored documents for people: passages with their labels in the margin, and a profile.

Colour tells the group of a label and never tells it alone: each group has a mark of its own, and
what is unsure carries a question mark. The colours have a contrast of at least 4 to 1 on black and
on white.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from io import StringIO
from itertools import chain, islice
from pathlib import PurePath
from typing import BinaryIO, TextIO

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from framing.codebook.codebook import Codebook
from framing.model.scored import Decision, Prediction, ScoredDocument, ScoredPassage, Span
from framing.show.plain import percent, plural, printable
from framing.text.document import Failure, Kind

COLOURS = ("color(27)", "color(162)", "color(130)", "color(28)", "color(98)", "color(31)")
GREY = "color(243)"

_MARKS = "●◆▲■★▼"
_ASCII_MARKS = "ox^#*v"
_WIDEST = 118  # longer lines are hard to read
_FILE_WIDTH = 100
_NARROW = 66  # below this, labels stand under their passage, shares without bars
_BAR = 10
_SPANS_SHOWN = 3
_LEAST_EFFECT = 0.02
_ASIDE = 30  # in words: more than this is set aside in full view, as it may hold more than a notice
_KINDS = {Kind.HEADLINE: "H", Kind.LIST_ITEM: "L"}


def console_for(stream: TextIO | None) -> Console:
    """A console that knows what `stream` can show: colours, width, letters; None is a file."""
    if stream is None:
        return Console(file=StringIO(), width=_FILE_WIDTH, highlight=False)
    console = Console(file=stream, highlight=False)
    console.width = min(console.width, _WIDEST)
    return console


def write_table(
    results: Iterable[ScoredDocument | Failure], codebook: Codebook, console: Console, out: BinaryIO
) -> None:
    """Write a single document in full, several as a short block each."""
    look = _Look.of(codebook, console)
    documents = (result for result in results if isinstance(result, ScoredDocument))
    head = list(islice(documents, 2))
    show = _full if len(head) == 1 else _block
    for scored in chain(head, documents):
        out.write(rendered(show(scored, look), console))
        out.flush()


def rendered(content: RenderableType, console: Console) -> bytes:
    """`content` as `console` would print it; without a terminal no line ends in spaces."""
    with console.capture() as captured:
        console.print(content)
    text = captured.get()
    if not console.is_terminal:
        text = "\n".join(line.rstrip() for line in text.split("\n"))
    return text.encode(console.encoding, "replace")


@dataclass(frozen=True, slots=True)
class _Look:
    """How each label is shown: its mark and colour by group, and what the console can print."""

    codebook: Codebook
    marks: dict[str, str]
    colours: dict[str, str]
    width: int
    unicode: bool
    styled: bool

    @classmethod
    def of(cls, codebook: Codebook, console: Console) -> _Look:
        unicode = console.encoding.startswith("utf")
        marks = _MARKS if unicode else _ASCII_MARKS
        order = [group.name for group in codebook.groups]
        place = {x.name: order.index(x.group) if x.group else 0 for x in codebook.labels}
        return cls(
            codebook=codebook,
            marks={name: marks[i % len(marks)] for name, i in place.items()},
            colours={name: COLOURS[i % len(COLOURS)] for name, i in place.items()},
            width=console.width,
            unicode=unicode,
            styled=console.is_terminal and console.color_system is not None,
        )

    def label(self, name: str, *, unsure: bool = False) -> Text:
        """A label's mark and name in its colour."""
        mark = "?" if unsure else self.marks[name]
        style = f"italic {self.colours[name]}" if unsure else f"bold {self.colours[name]}"
        return Text(f"{mark} {name}", style)

    def bar(self, share: float) -> str:
        """A bar of ten cells in eighths."""
        if not self.unicode:
            return ("#" * round(share * _BAR)).ljust(_BAR, ".")
        whole, eighths = divmod(round(share * _BAR * 8), 8)
        return ("█" * whole + " ▏▎▍▌▋▊▉"[eighths] * (eighths > 0)).ljust(_BAR)

    @property
    def dot(self) -> str:
        return " · " if self.unicode else " - "


def _full(scored: ScoredDocument, look: _Look) -> RenderableType:
    """The whole article: head, passages, profile, notes."""
    first = scored.passages[0].text if scored.passages else ""
    title = scored.document.title
    parts: list[RenderableType] = []
    if title and " ".join(title.split()) != " ".join(first.split()):
        parts.append(Text(printable(title), "bold"))
    parts += [
        _source_line(scored, look),
        Rule(style=GREY, characters="─" if look.unicode else "-"),
        _passages(scored, look),
        Rule(style=GREY, characters="─" if look.unicode else "-"),
        _profile(scored, look),
        Text(),
        *_notes(scored, look),
    ]
    return Group(*parts)


def _source_line(scored: ScoredDocument, look: _Look) -> Text:
    d = scored.document
    # What has no id of its own is called after its file.
    file = d.file
    if file is not None and d.id.startswith((file, PurePath(file).name)):
        file = None
    known = [d.source, d.date, d.author, file, d.id]
    return Text(look.dot.join(printable(part) for part in known if part), GREY)


def _passages(scored: ScoredDocument, look: _Look) -> Table:
    beside = look.width >= _NARROW
    table = Table.grid(padding=(0, 2, 0, 0), expand=True)
    table.add_column(justify="right", style=GREY, no_wrap=True)
    table.add_column(ratio=1, overflow="fold")
    shown = {name for p in scored.passages for name in (*p.labels, *p.unsure)}
    name_width = min(max(map(len, shown), default=0), max(22, look.width // 3 - 7))
    if beside:
        table.add_column(no_wrap=True, width=name_width + 7)
    was_aside = False
    for number, passage in enumerate(scored.passages, start=1):
        aside = look.codebook.set_aside in passage.labels
        text = _aside(passage, look) if aside else _marked(passage, look)
        margin = _margin(passage, look, name_width, aside)
        gutter = f"{number} {_KINDS.get(passage.kind, ' ')}"
        if number > 1 and not (aside and was_aside):
            table.add_row()
        if beside:
            table.add_row(gutter, text, margin)
        else:
            table.add_row(gutter, Group(text, margin))
        was_aside = aside
    return table


def _marked(passage: ScoredPassage, look: _Look) -> RenderableType:
    """The passage's text with its evidence marked, and under it what the evidence did."""
    text = Text(printable(passage.text), "bold" if passage.kind is Kind.HEADLINE else "")
    evidence = _telling(passage)
    for label, spans in evidence.items():
        for span in spans:
            start, end = span.start - passage.start, span.end - passage.start
            text.stylize(f"underline {look.colours[label]}", start, end)
    if not look.styled:
        text = _bracketed(text.plain, _merged(passage, chain(*evidence.values())), look)
    if not evidence:
        return text
    return Group(text, *(_effects(name, spans, passage, look) for name, spans in evidence.items()))


def _telling(passage: ScoredPassage) -> dict[str, Sequence[Span]]:
    """The evidence worth showing, in the margin's order: one span where a label is unsure."""
    found = {
        label: [span for span in (passage.evidence or {}).get(label, ()) if _tells(span)][:most]
        for labels, most in ((passage.labels, _SPANS_SHOWN), (passage.unsure, 1))
        for label in labels
    }
    return {label: spans for label, spans in found.items() if spans}


def _tells(span: Span) -> bool:
    return span.effect >= _LEAST_EFFECT


def _merged(passage: ScoredPassage, spans: Iterable[Span]) -> list[tuple[int, int]]:
    """The stretches of the passage that are evidence for any label."""
    merged: list[tuple[int, int]] = []
    for start, end in sorted((s.start - passage.start, s.end - passage.start) for s in spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _bracketed(plain: str, stretches: Sequence[tuple[int, int]], look: _Look) -> Text:
    opening, closing = "‹›" if look.unicode else "[]"
    for start, end in reversed(stretches):
        plain = f"{plain[:start]}{opening}{plain[start:end]}{closing}{plain[end:]}"
    return Text(plain)


def _effects(
    label: str, spans: Sequence[Span], passage: ScoredPassage, look: _Look
) -> RenderableType:
    """The words behind a label, and by how many points it falls without them."""
    line = look.label(label, unsure=label in passage.unsure)
    for number, span in enumerate(spans):
        words = printable(passage.text[span.start - passage.start : span.end - passage.start])
        words = words.strip('“”"«»')
        quoted = f"“{words}” −" if look.unicode else f'"{words}" -'
        between = look.dot if number else " "
        line.append(f"{between}{quoted}{100 * span.effect:.0f}", "not bold not italic default")
    return Padding(line, (0, 0, 0, 2))


def _margin(passage: ScoredPassage, look: _Look, name_width: int, aside: bool) -> Text:
    """The labels that hold and those that are unsure, each with its probability."""
    held = [p for p in passage.predictions if p.decision is Decision.YES]
    unsure = [p for p in passage.predictions if p.decision is Decision.UNSURE]
    if aside:
        held, unsure = [p for p in held if p.label == look.codebook.set_aside], []
    lines = [_margin_line(p, look, name_width) for p in (*held, *unsure)]
    if aside:
        lines = [Text(line.plain, GREY) for line in lines]
    return Text("\n").join(lines)


def _margin_line(prediction: Prediction, look: _Look, name_width: int) -> Text:
    name = look.label(prediction.label, unsure=prediction.decision is Decision.UNSURE)
    name.truncate(name_width + 2, overflow="ellipsis", pad=True)
    return Text.assemble(name, f" {percent(prediction.probability):>4}")


def _aside(passage: ScoredPassage, look: _Look) -> Text:
    """A passage that is not part of the story: on one line, unless it is long."""
    words = printable(passage.text).split()
    line = " ".join(words)
    if len(words) > _ASIDE:
        return Text(line, GREY)
    return Text(line, GREY, no_wrap=True, overflow="ellipsis" if look.unicode else "crop")


def _profile(scored: ScoredDocument, look: _Look) -> RenderableType:
    """Shares of passages and words per label, with bars; labels that were not found in a line."""
    found = {n: s for n, s in scored.profile.labels.items() if s.passages or s.unsure}
    bars = look.width >= _NARROW

    def cell(share: float, style: str) -> Text:
        number = f"{percent(share):>4}"
        return Text.assemble((look.bar(share), style), f" {number}") if bars else Text(number)

    table = Table.grid(padding=(0, 2, 0, 0))
    for justify in ("left", "left", "left", "right"):
        table.add_column(justify=justify, no_wrap=True)
    table.add_row(
        Text("Profile", "bold"), *(Text(x, GREY) for x in ("of passages", "of words", "+ unsure"))
    )
    for name, share in found.items():
        style = look.colours[name]
        table.add_row(
            look.label(name),
            cell(share.passages, style),
            cell(share.words, style),
            percent(share.unsure) if share.unsure else "",
        )
    missing = [name for name in scored.profile.labels if name not in found]
    if not missing:
        return table
    return Group(table, Text(f"Not found: {', '.join(missing)}", GREY))


def _notes(scored: ScoredDocument, look: _Look) -> Iterator[RenderableType]:
    """What was scored, what was set aside, what to beware of, how to read the marks."""
    yield Text(look.dot.join(_facts(scored, look)))
    for warning in scored.warnings:
        yield Text(f"! {printable(warning)}")
    shown = {name for p in scored.passages for name in p.labels} | set(scored.profile.labels)
    legend = {
        label.group: look.marks[label.name]
        for label in look.codebook.labels
        if label.group and label.name in shown
    }
    words = [f"{mark} {group}" for group, mark in legend.items()]
    words += ["? unsure", "H headline"]
    if any(p.kind is Kind.LIST_ITEM for p in scored.passages):
        words.append("L list item")
    if any(p.evidence for p in scored.passages):
        words.append(
            "“words” −9 points without them" if look.unicode else '"words" -9 points without'
        )
    p = scored.provenance
    model = f"{p.bundle} {p.bundle_fingerprint[:8]}, codebook {p.codebook}, framing {p.framing}"
    yield _flowed([Text(word, GREY) for word in words], look.width)
    yield Text(model, GREY)


def _facts(scored: ScoredDocument, look: _Look) -> list[str]:
    profile = scored.profile
    facts = [f"{plural(profile.passages, 'passage')}, {plural(profile.words, 'word')}"]
    if profile.set_aside_passages:
        facts.append(
            f"set aside as {look.codebook.set_aside}: {profile.set_aside_passages:,} "
            f"({plural(profile.set_aside_words, 'word')})"
        )
    facts.append(f"{percent(scored.read_share)} read")
    return facts


def _block(scored: ScoredDocument, look: _Look) -> RenderableType:
    """A document among several: title, source, and its labels by share of passages."""
    lines: list[RenderableType] = [
        Text(printable(_title(scored)), "bold", no_wrap=True, overflow="ellipsis"),
        _source_line(scored, look),
    ]
    found = sorted(
        ((share.passages, name) for name, share in scored.profile.labels.items() if share.passages),
        key=lambda item: -item[0],
    )
    labels = [look.label(name).append(f" {percent(share)}", "not bold") for share, name in found]
    lines.append(_flowed(labels, look.width) if found else Text("no label held", GREY))
    lines.append(Text(look.dot.join(_facts(scored, look)), GREY))
    lines += [Text(f"! {printable(warning)}", "bold") for warning in scored.warnings]
    return Padding(Group(*lines), (0, 0, 1, 0))


def _title(scored: ScoredDocument) -> str:
    """The document's title, else its headline, else how it begins."""
    return scored.document.title or next((p.text for p in scored.passages), "(no passage)")


def _flowed(items: Iterable[Text], width: int) -> Text:
    """Items side by side; a line ends only between two of them."""
    lines: list[Text] = []
    for item in items:
        if lines and lines[-1].cell_len + 3 + item.cell_len <= width:
            lines[-1].append("   ").append(item)
        else:
            lines.append(item)
    return Text("\n").join(lines)
