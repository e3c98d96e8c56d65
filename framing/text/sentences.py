"""Where sentences end: sentencex, with a few corrections that news text calls for.

The choice, the rivals and what the corrections are worth are measured in
tests/benchmarks/README.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from sentencex import get_sentence_boundaries

# sentencex keeps a quotation whole; one of more words than this is cut where its sentences end.
_LONG_QUOTE = 60
_UNQUOTED = str.maketrans(dict.fromkeys('"“”„‟«»‹›()[]', " "))

# sentencex panics on "B\u00a0." and cannot take a lone surrogate.
_SPACE = re.compile(r"[^\S ]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
# Its time grows with the square of the quotation marks that are never closed.
_WINDOW = 10_000

_TITLES = "Ms|Mx|Mme|Mlle|Mmes|Messrs|Ret|Adm|Sgt|Cpl|Fr|Ft|Bros"
_VERBS = (
    "said|says|asked|asks|told|tells|added|adds|replied|cried|shouted|yelled|wrote|writes|tweeted"
    "|posted|declared|exclaimed|continued|insisted|warned|recalled|joked|demanded|wondered"
    "|answered|screamed|responded|concluded|quipped|explained|argued"
)
_ZONES = r"(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day|(?:[ECMP][SD]?T|GMT|UTC)\b"
# No sentence ends between a last word like the first and a continuation like the second.
_NO_END = tuple(
    (re.compile(last), re.compile(after))
    for last, after in (
        (rf"\W*(?:{_TITLES})\.", r"[A-Z]"),
        (r"\W*(?:\d.*)?[ap]\.m\.", _ZONES),
        (r".*[!?…][\"”’'»]", rf"(?:[A-Z][\w.’'-]*\s+){{1,5}}(?:{_VERBS})\b"),
        (r"[A-Z]\w+!", r"(?:Inc|Corp|Ltd|Co)\."),
    )
)
# A sentence ends here, though sentencex does not say so: "… Few", "(… she said.) He".
_AN_END = re.compile(
    r"…(?<=\w…)\s+(?=[\"“‘«(]?[A-Z]\w)"
    r"|\)(?:(?<=[a-z]{4}[.!?]\))|(?<=[a-z]{4}[.!?][\"”]\)))\s+(?=[\"“‘«(]?[A-Z])"
)
_OPENING = '"“‘«(['


def sentence_spans(text: str) -> list[tuple[int, int]]:
    """Find the sentences of one passage.

    A quotation stays with the words that report it, unless the whole runs over 60 words: then it
    is cut where its own sentences end.

    Parameters
    ----------
    text : str
        A headline, a paragraph or a list item; a line break in it counts as a space.

    Returns
    -------
    list of (int, int)
        Offsets into `text`, in order, without the white space between sentences; every other
        character lies in exactly one.
    """
    flat = _SURROGATE.sub("\ufffd", _SPACE.sub(" ", text))
    cuts: list[int] = []
    for start, end in pairwise(_cuts(flat, flat)):
        sentence = flat[start:end]
        if len(sentence.split()) > _LONG_QUOTE:
            cuts += [start + cut for cut in _cuts(sentence, sentence.translate(_UNQUOTED))[:-1]]
        else:
            cuts.append(start)
    spans = []
    for start, end in pairwise([*cuts, len(flat)]):
        piece = flat[start:end]
        if piece.strip():
            spans.append((end - len(piece.lstrip()), start + len(piece.rstrip())))
    return spans


def _cuts(text: str, shown: str) -> list[int]:
    """Say where to cut `text`, both ends included; sentencex sees `shown`, of the same length."""
    proposed = {_before_opening(text, end) for end in _proposed(shown)}
    proposed.update(match.end() for match in _AN_END.finditer(text))
    cuts = [0]
    for cut in sorted(proposed):
        if cuts[-1] < cut < len(text) and not _amid(text, cut):
            cuts.append(cut)
    return [*cuts, len(text)]


def _proposed(text: str) -> Iterator[int]:
    """Yield sentencex's ends of sentences, in windows that each begin where a sentence does."""
    start = 0
    while start < len(text):
        window = text[start : start + _WINDOW]
        ends = [start + s["end_index"] for s in get_sentence_boundaries("en", window)]
        if start + len(window) < len(text):
            ends.pop()  # the sentence that the window cuts off
        yield from ends
        start = ends[-1] if ends and ends[-1] > start else start + len(window)


def _before_opening(text: str, cut: int) -> int:
    """Move a cut that leaves an opening quotation mark behind to the other side of it."""
    before = text[max(0, cut - 10) : cut].rstrip()
    mark = before.rstrip(_OPENING)
    return cut - len(text[max(0, cut - 10) : cut]) + len(mark) if mark != mark.rstrip() else cut


def _amid(text: str, cut: int) -> bool:
    """Is this the middle of a sentence? Judged by the last word before and the words after."""
    last = text[max(0, cut - 40) : cut].split()[-1:]
    after = text[cut : cut + 80]
    return any(b.fullmatch(word) and a.match(after) for word in last for b, a in _NO_END)
