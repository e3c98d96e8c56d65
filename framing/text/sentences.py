"""Where sentences end: sentencex, with a few corrections that news text calls for.

The choice, the rivals and what each correction is worth are measured in
tests/benchmarks/README.md.
"""

from __future__ import annotations

import re
from itertools import pairwise

from sentencex import get_sentence_boundaries

# A quotation may hold many sentences; one longer than this is cut where they end.
_LONG_QUOTE = 60

_QUOTES = "\"'“”„‟‘’‚‛«»‹›"
_NO_QUOTES = str.maketrans(dict.fromkeys("\"“”„‟«»‹›()[]", " "))
_ODD = re.compile(r"[\ud800-\udfff\x00]")
_LINE_BREAK = re.compile(r"[\r\n\v\f\x1c-\x1e\u2028\u2029]")

_TITLES = "Ms|Mx|Mme|Mlle|Mmes|Messrs|Ret|Adm|Sgt|Cpl|Fr|Ft|Bros"
_VERBS = (
    "said|says|asked|asks|told|tells|added|adds|replied|cried|shouted|yelled|wrote|writes|tweeted"
    "|posted|declared|exclaimed|continued|insisted|warned|recalled|joked|demanded|wondered"
    "|answered|screamed|responded|responds|concluded|quipped|explained|argued|thundered"
)
# Wrong to cut where the left side ends like the first and the right side begins like the second.
_MERGES = tuple(
    (re.compile(left + r"\s*\Z"), re.compile(right))
    for left, right in (
        (rf"\b(?:{_TITLES})\.", r"[A-Z]"),
        (r"\b[ap]\.m\.", r"(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day|(?:[ECMP][SD]?T|GMT|UTC)\b"),
        (r"[!?…][\"”’'»]", rf"(?:[A-Z][\w.’'-]*\s+){{1,5}}(?:{_VERBS})\b"),
        (r"\b[A-Z]\w+!", r"(?:Inc|Corp|Ltd|Co)\."),
    )
)
# Right to cut, though sentencex does not: "… He", "(… last words.) He", and a note's number.
_SPLIT = re.compile(
    r"\w…\s+(?=[\"“‘«(]?[A-Z](?!\s|['’]))"
    r"|(?<=\s)[a-z]{3,}[.!?][\"”]?\)\s+(?=[\"“‘«(]?[A-Z])"
)


def sentence_spans(text: str) -> list[tuple[int, int]]:
    """Find the sentences of one passage.

    Parameters
    ----------
    text : str
        A headline, a paragraph or a list item; line breaks in it count as spaces.

    Returns
    -------
    list of (int, int)
        Offsets into `text`, in order, without the white space between sentences; every other
        character lies in exactly one. A quotation stays with the words that report it, unless
        it runs over 60 words: then it is cut where its own sentences end.
    """
    flat = _LINE_BREAK.sub(" ", _ODD.sub("\ufffd", text))
    spans: list[tuple[int, int]] = []
    for start, end in pairwise(_cuts(flat)):
        if len(flat[start:end].split()) > _LONG_QUOTE:
            inner = _cuts(flat[start:end].translate(_NO_QUOTES))
            spans += [(start + a, start + b) for a, b in pairwise(inner)]
        else:
            spans.append((start, end))
    return [trimmed for span in spans if (trimmed := _trim(text, *span))]
