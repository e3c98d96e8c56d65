"""Cut a document into its passages: headlines, paragraphs, list items, or sentences.

A line is a passage, unless the text is hard-wrapped: then the lines of a paragraph are put
together again, which the lengths of the lines tell. What is too long for one passage is cut
where sentences end, into parts of about 75 words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import ceil
from typing import Literal

from framing.text.document import Document, Kind, Passage
from framing.text.normalize import BLANK
from framing.text.sentences import sentence_spans

# In words: a paragraph of more is cut, the parts' aim, and the most of a sentence or part.
_LONG, _PART, _MOST = 150, 75, 120
# In words: the longest subheading, and the least of a paragraph that stands around one.
_SUBHEADING, _BODY = 10, 15

_BREAKS = "\r\n\v\f\x1c-\x1e\u2028\u2029"
_LINE = re.compile(f"[^{_BREAKS}]+")
_BLANK_LINE = re.compile("(?>\f*(?:\r*\n|[\r\v\x1c-\x1e\u2028\u2029])){2}")
_LEAD = re.compile(f"[{BLANK}]*")
_NOTHING = re.compile(f"[{BLANK}]")

_RULE = re.compile(r"[\W_]*")
_MARKER = re.compile(
    r"(?:>\s*)*"
    r"(?:(?P<headline>\#{1,6}\s+)"
    r"|(?P<item>(?:[-*+–·]|\d{1,2}[.)]|\(\d{1,2}\)|\(?[a-z]\)|[a-z]\.|[A-Z]\)|\(?[ivx]{2,4}\)|[ivx]{2,4}\.)\s+"
    r"|[•‣◦▪●○►▶✓✔➤]\s*))?"
)
_BOLD = re.compile(r"(\*\*|__)(?=\S)((?:(?!\1).){1,150})\1")
_CREDIT = re.compile(
    r"by:?\s|via\s|credit:|(?:photo|image|picture|screenshot)s?(?::| by| via| from| copyright)"
    r"|(?:this \w+ was )?(?:originally |last )?(?:posted|written|published|updated)\b",
    re.IGNORECASE,
)
# What a page says in a line between paragraphs that is no heading of them.
_FURNITURE = re.compile(
    r"(?:advert\w*|sponsored|story contin\w*|continue|read|related|recommended|most popular"
    r"|most read|more (?:from|on)|trending|breaking news|see|also|watch|listen|play|loading|videos?"
    r"|gallery|slideshows?|dateline|photos?|images?|graphic|file|getty|reuters|courtesy|via|sign"
    r"|subscribe|join|follow|like us|share|comments?|print|e-?mail|tweet"
    r"|click|please|download|copyright|privacy|terms|tags?|topics|updated?|published|posted|by|editors?|edited|reporting|source|credit)\b",
    re.IGNORECASE,
)
_QUESTION = re.compile(
    r"(?:what|why|how|who|whose|when|where|which|is|are|was|will|can|could|should|does|do|did)\b"
    r"(?!.*(?:,|\byou\b))",
    re.IGNORECASE,
)
# Words to the reader right behind an article's last sentence, up to the end of the line.
_NOTICE = re.compile(
    rf"(?:(?<=[.!?…])[\"”’»)\]]?|[{_BREAKS}])\s{{0,9}}(?P<notice>(?:"
    r"(?:read|see) (?:more|also|next)(?:\s?[:»>]| (?:at|on|here|about|from)\b|\Z)"
    r"|(?:related|see also|also read|more from)\s?:"
    r"|sign up (?:here|now|today|(?:for|to) (?:our|get|receive|the [\w ]{1,40}newsletter))\b"
    r"|subscribe (?:here|now|today|to (?:our|the [\w ]{1,40}newsletter))\b"
    r"|click here (?:to|for)\b"
    r"|(?:follow|like) [@\w ]{1,40} on (?:twitter|facebook|instagram|youtube)\b"
    r"|download (?:our|the [\w ]{1,30}) app\b"
    r"|share this (?:article|story|post)\b"
    r"|(?:advertisement|story continues below|continue reading)\b"
    r"|(?:copyright )?(?:©|\(c\)) ?\d{4}\b"
    r")(?:\S*+\s++){0,40}+\S*+)\Z",
    re.IGNORECASE,
)
# A handle, an address, a time, a row of a table, a signature, a quotation, a credit.
_NO_HEADING = re.compile(
    r"@|\w\.\w|/|\d:\d|\||^[—–-]|[\"”»]$|\b(?:photo|image|screen ?(?:grab|shot))\b", re.IGNORECASE
)
_EDGES = re.compile(r"^\W+|\W+$")
_SITE = re.compile(r"\W?\s+[-–—|·•»⋆:]+\s+\S.{0,40}")
_FIRST_WORD = re.compile(r"\S+")
_SPACE = re.compile(r"\s+")
_CLAUSE_END = re.compile(r"[,;:—–]\s+")
_CLOSERS = "\"'”’»)]"
_QUOTES = "\"'“‘«"


@dataclass(frozen=True, slots=True)
class _Line:
    """A line or joined lines without the marker; `gap`: a blank line or a rule comes before."""

    start: int
    end: int
    kind: Kind
    gap: bool
    indent: int

    @property
    def length(self) -> int:
        return self.indent + self.end - self.start


def segment(
    document: Document, unit: Literal["paragraph", "sentence"] = "paragraph"
) -> list[Passage]:
    """Cut a document into passages.

    The title, where the text begins with it, or else a short first line that stands apart,
    markdown headings and short lines without a stop between two paragraphs are headlines; lines
    that begin with a bullet or a number are list items; the rest are paragraphs, and a notice to
    the reader that is glued to one ("Read more: …") is one of its own. Markers ("# ", "- ", "> "),
    lines without a letter or digit ("---") and the title where the line below it or its byline says
    it again belong to no passage; every other visible character belongs to exactly one.

    Parameters
    ----------
    document : Document
        The text to cut; its `title` helps to find the headline.
    unit : {"paragraph", "sentence"}
        With "sentence", each sentence of a paragraph is a passage; headlines and list items stay
        what they are.

    Returns
    -------
    list of Passage
        In order and without overlap. A passage of more than 150 words is cut where sentences end
        into parts of about 75 and at most 120 words, and a sentence of more than 120 words at a
        comma or a space.
    """
    text = document.text
    passages = []
    for block in _blocks(text, document.title):
        by_sentence = unit == "sentence" and block.kind is Kind.PARAGRAPH
        kind = Kind.SENTENCE if by_sentence else block.kind
        for span in _parts(text, block.start, block.end, by_sentence):
            start, end = _trim(text, *span)
            if start < end:
                passages.append(Passage(start, end, kind))
    return passages


def titled(document: Document, passages: Sequence[Passage]) -> Document:
    """The document with the headline that its text begins with for a title, if it has no other."""
    if document.title or not passages or passages[0].kind is not Kind.HEADLINE:
        return document
    headline = document.text[passages[0].start : passages[0].end]
    return replace(document, title=" ".join(headline.split()))


def _lines(text: str, title: str | None) -> list[_Line]:
    """List the lines that show something, each with its kind by its marker."""
    lines = []
    start, previous = _title_span(text, title)
    if previous:
        lines.append(_Line(start, previous, Kind.HEADLINE, True, 0))
    gap = True
    for match in _LINE.finditer(text, previous):
        gap = gap or _BLANK_LINE.match(text, previous, match.start()) is not None
        previous = match.end()
        start, end = _trim(text, *match.span())
        if _RULE.fullmatch(text, start, end):
            if lines and not gap and set(text[start:end]) == {"="}:
                lines[-1] = replace(lines[-1], kind=Kind.HEADLINE)
            gap = True
            continue
        indent = start - match.start()
        start, end, kind = _unmarked(text, start, end)
        lines.append(_Line(start, end, kind, gap, indent))
        gap = False
    return lines


def _title_span(text: str, title: str | None) -> tuple[int, int]:
    """Find the title as the first line or lines of the text; (0, 0) if it is not there."""
    if not title or not title.split():
        return 0, 0
    words = r"\s+".join(map(re.escape, title.split()))
    found = re.match(rf"[{BLANK}]*(?:#+\s+)?({words})[^\S{_BREAKS}]*(?:[{_BREAKS}]|\Z)", text)
    return found.span(1) if found else (0, 0)


def _unmarked(text: str, start: int, end: int) -> tuple[int, int, Kind]:
    """Take the markers off a line and tell its kind by them."""
    kind = Kind.PARAGRAPH
    if marker := _MARKER.match(text, start, end):
        if marker.end() == end:
            return start, end, kind
        start = marker.end()
        if marker["headline"]:
            kind = Kind.HEADLINE
        elif marker["item"]:
            kind = Kind.LIST_ITEM
    if kind is Kind.PARAGRAPH and (bold := _BOLD.fullmatch(text, start, end)):
        return *bold.span(2), Kind.HEADLINE
    return start, end, kind


def _blocks(text: str, title: str | None) -> list[_Line]:
    """List the document's headlines, paragraphs and list items."""
    lines = _lines(text, title)
    width = _wrap_width(text, lines)
    blocks = lines[:1]
    for line, following in pairwise(lines):
        item = blocks[-1].kind is Kind.LIST_ITEM
        hanging = item and following.indent > blocks[-1].indent
        if (hanging and _may_continue(line, following)) or _wrapped(text, line, following, width):
            blocks[-1] = replace(blocks[-1], end=following.end)
        else:
            blocks.append(following)
    if title is None and len(blocks) > 1 and _stands_apart(text, blocks):
        blocks[0] = replace(blocks[0], kind=Kind.HEADLINE)
    again = 2 if len(blocks) > 2 and _CREDIT.match(text, blocks[1].start) else 1
    if len(blocks) > again and _repeats(text, blocks[0], blocks[again]):
        del blocks[again]
    blocks = [part for block in blocks for part in _without_notice(text, block)]
    for i in range(1, len(blocks) - 1):
        if _is_subheading(text, *blocks[i - 1 : i + 2]):
            blocks[i] = replace(blocks[i], kind=Kind.HEADLINE)
    return blocks


def _repeats(text: str, headline: _Line, following: _Line) -> bool:
    """Does the line under the headline say it again, perhaps without the site's name?"""
    title, again = (
        _EDGES.sub("", " ".join(text[line.start : line.end].split()).casefold())
        for line in (headline, following)
    )
    said = len(again.split())
    if headline.kind is not Kind.HEADLINE or not 3 <= said <= 60 or not title.startswith(again):
        return False
    return title == again or _SITE.fullmatch(title, len(again)) is not None


def _without_notice(text: str, block: _Line) -> Iterator[_Line]:
    """Cut off a notice to the reader that stands behind the last sentence."""
    found = _NOTICE.search(text, block.start, block.end)
    if found and block.kind is Kind.PARAGRAPH and found.start("notice") > block.start:
        cut = found.start("notice")
        yield replace(block, end=cut)
        yield replace(block, start=cut, gap=False)
    else:
        yield block


def _is_subheading(text: str, before: _Line, line: _Line, after: _Line) -> bool:
    """Is the line a heading inside the text: short, without a stop, alone between paragraphs?"""
    words = text[line.start : line.end].split()
    return (
        line.kind is Kind.PARAGRAPH
        and before.kind is not Kind.HEADLINE
        and (_ends_sentence(text, before) or _FURNITURE.match(text, before.start) is not None)
        and after.kind is Kind.PARAGRAPH
        and _words(text, after.start, after.end) >= _BODY
        and _ends_sentence(text, after)
        and (line.gap or not after.gap)
        and 2 <= len(words) <= _SUBHEADING
        and _reads_as_heading(" ".join(words))
    )


def _reads_as_heading(line: str) -> bool:
    if not (line[0].isupper() or line[0].isdigit() or line[0] in _QUOTES) or _FURNITURE.match(line):
        return False
    if line.endswith("?"):
        return _QUESTION.match(line) is not None
    return line.rstrip(_CLOSERS)[-1:].isalnum() and not _NO_HEADING.search(line)


def _stands_apart(text: str, blocks: list[_Line]) -> bool:
    """Does the first block look like a headline: a short line without a stop, no credit?"""
    first = text[blocks[0].start : blocks[0].end]
    return (
        blocks[0].kind is Kind.PARAGRAPH
        and (blocks[1].gap or not any(block.gap for block in blocks[1:]))
        and 3 <= len(first.split()) <= 25
        and not first.rstrip(_CLOSERS).endswith((".", ",", ":", ";"))
        and not _CREDIT.match(first)
        and len(sentence_spans(first)) == 1
    )


def _wrap_width(text: str, lines: list[_Line]) -> int:
    """Return the column at which the text is hard-wrapped, 0 if it is not.

    In wrapped text most line breaks fall inside sentences, behind lines of much the same length;
    elsewhere hardly any line ends without a stop before one that begins in lower case.
    """
    breaks = [(a, b) for a, b in pairwise(lines) if _may_continue(a, b)]
    inside = sorted(
        a.length for a, b in breaks if text[b.start].islower() and not _ends_sentence(text, a)
    )
    if not inside or len(inside) < len(breaks) / 5:
        return 0
    width = inside[(len(inside) - 1) * 9 // 10]
    return width if 40 <= width <= 140 and inside[len(inside) // 2] >= 0.75 * width else 0


def _may_continue(line: _Line, following: _Line) -> bool:
    return (
        not following.gap
        and following.kind is Kind.PARAGRAPH
        and line.kind is not Kind.HEADLINE
        and (following.indent <= line.indent or line.kind is Kind.LIST_ITEM)
    )


def _ends_sentence(text: str, line: _Line) -> bool:
    return text[line.start : line.end].rstrip(_CLOSERS)[-1:] in (".", "!", "?", ":", ";", "…")


def _wrapped(text: str, line: _Line, following: _Line, width: int) -> bool:
    """Was the break after `line` made by wrapping: had the next word no room left on the line?

    How much room is asked for depends on what else speaks for the end of a paragraph.
    """
    if not _may_continue(line, following) or line.length > 1.3 * width:
        return False
    word = _FIRST_WORD.match(text, following.start, following.end)
    needed = line.length + 1 + (len(word[0]) if word else 0)
    if text[following.start].islower():
        return needed > 0.5 * width
    return needed > (0.9 if _ends_sentence(text, line) else 0.75) * width


def _parts(text: str, start: int, end: int, by_sentence: bool) -> Iterator[tuple[int, int]]:
    """Cut a block into its sentences, or into parts of whole sentences if it is too long."""
    total = _words(text, start, end)
    if not by_sentence and total <= _LONG:
        yield start, end
        return
    sentences = [
        piece
        for a, b in sentence_spans(text[start:end])
        for piece in _pieces(text, start + a, start + b)
    ]
    if by_sentence:
        yield from sentences
        return
    left, parts = total, max(2, round(total / _PART))
    part_start, held = start, 0
    for a, b in sentences:
        words = _words(text, a, b)
        if held and (held + words > _MOST or held + words / 2 > left / parts):
            yield part_start, a
            left, parts = left - held, max(1, parts - 1)
            part_start, held = a, 0
        held += words
    yield part_start, end


def _pieces(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Cut a monstrous sentence into even pieces, at a clause's end or a space if one is near."""
    count = ceil(_words(text, start, end) / _MOST)
    step = (end - start) / count
    at = start
    for k in range(1, count):
        goal = start + round(k * step)
        low, high = max(at + 1, goal - 100), goal + 100
        ends = [m.end() for m in _CLAUSE_END.finditer(text, low, high)]
        ends = ends or [m.end() for m in _SPACE.finditer(text, low, high)] or [goal]
        cut = min(ends, key=lambda e: abs(e - goal))
        yield at, cut
        at = cut
    yield at, end


def _words(text: str, start: int, end: int) -> int:
    """Count words; where there are no spaces, twelve characters are one."""
    return max(len(text[start:end].split()), (end - start) // 12)


def _trim(text: str, start: int, end: int) -> tuple[int, int]:
    """Take off what shows nothing at either end."""
    lead = _LEAD.match(text, start, end)
    start = lead.end() if lead else start
    while end > start and _NOTHING.match(text, end - 1):
        end -= 1
    return start, end
