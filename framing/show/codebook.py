"""A codebook for people."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from framing.codebook.codebook import Codebook, Label
from framing.show.plain import plural, printable
from framing.show.terminal import COLOURS, GREY, rendered


def write_codebook(codebook: Codebook, console: Console, out: BinaryIO) -> None:
    """Write what a codebook says: unit, principles, labels by group with examples, rules."""
    out.write(rendered(Group(*_parts(codebook)), console))


def _parts(codebook: Codebook) -> Iterator[RenderableType]:
    yield Text(printable(f"{codebook.title}, version {codebook.version}"), "bold")
    labels = plural(len(codebook.labels), "label")
    yield Text(f"{codebook.name}, {labels}, fingerprint {codebook.fingerprint[:12]}", GREY)
    if codebook.unit:
        yield _named("Unit.", codebook.unit)
    for name, statement in codebook.principles.items():
        yield _named(f"{name.capitalize()}.", statement)
    questions = {group.name: group.question for group in codebook.groups}
    groups = list(dict.fromkeys(label.group for label in codebook.labels))
    for group, colour in zip(groups, _cycled(len(groups)), strict=True):
        yield Text()
        if group is not None:
            yield Text(f"{group}: {questions.get(group) or ''}".rstrip(": "), f"bold {colour}")
        for label in codebook.labels:
            if label.group == group:
                yield from _label(label, colour, label.name == codebook.set_aside)
    if codebook.rules:
        yield Text("\nRules for hard cases", "bold")
    for number, rule in enumerate(codebook.rules, start=1):
        yield _named(f"{number}.", rule)


def _label(label: Label, colour: str, set_aside: bool) -> Iterator[RenderableType]:
    yield Text()
    note = "  (set aside: not part of the story)" if set_aside else ""
    yield Text.assemble(("  " + label.name, f"bold {colour}"), (note, GREY))
    yield _indented(_prose(label.definition))
    if label.holds_when:
        yield _named("Holds when", label.holds_when, 4)
    if label.does_not_hold_when:
        yield _named("Does not hold when", label.does_not_hold_when, 4)
    for positive in label.positives:
        yield _indented(Text.assemble(("+ ", "bold"), printable(positive)))
    for miss in label.near_misses:
        gets = ", ".join(miss.labels)
        reason = " ".join(filter(None, [f"({gets})" if gets else "", miss.why]))
        yield _indented(Text.assemble(("- ", "bold"), printable(miss.text), (f"  {reason}", GREY)))


def _cycled(count: int) -> list[str]:
    return [COLOURS[i % len(COLOURS)] for i in range(count)]


def _named(name: str, statement: str, indent: int = 0) -> RenderableType:
    return _indented(Text.assemble((f"{name} ", "bold"), _prose(statement)), indent)


def _indented(text: Text, indent: int = 4) -> RenderableType:
    return Padding(text, (0, 0, 0, indent))


def _prose(text: str) -> Text:
    """Text in which `names` stand out as they would in Markdown."""
    parts = re.split(r"`([^`]+)`", printable(text))
    return Text.assemble(*((part, "bold" if i % 2 else "") for i, part in enumerate(parts)))
