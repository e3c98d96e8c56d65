"""Which language a document is written in."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

#: Below this many letters there is nothing to go by.
MIN_LETTERS = 20
#: Characters looked at: more change nothing.
MAX_CHARACTERS = 4000
#: A guess at another language than English has to be at least this sure.
MIN_CONFIDENCE = 0.6

# py3langid takes .66 s to load. English function words settle almost every English article
# without it: their share is above .15 in 97.6-100 % of the articles of seven English collections,
# and at most .14 in French, German, Italian, Polish, Russian, Spanish, Greek and Georgian news
# (but for a few paragraphs that quote English).
_ENGLISH = re.compile(
    r"\b(?:the|of|and|to|that|with|from|which|this|were|have|has|had|been|their|they|would|his|its|"
    r"but|not|by|for|are|who|what|when|said|will|about|after)\b"
)
_ENGLISH_SHARE = 0.15
_ENGLISH_WORDS = 50
# Of shorter texts, more of them and different ones are asked for: "for", "to" and "was" are words
# in other languages too.
_SHORT_SHARE = 0.25
_SHORT_DIFFERENT = 3


def detect(text: str) -> tuple[str, float]:
    """Name the language of a text.

    A guess at a language other than English that is not sure enough is "und" as well: short
    English headlines in capitals and names are easily taken for Latin or Pidgin, while hardly a
    foreign sentence is taken for English, however low the confidence.

    Parameters
    ----------
    text
        Prose; the first few thousand characters are enough.

    Returns
    -------
    tuple of str and float
        ISO 639 code ("und" where there is too little to go by) and confidence in [0, 1].
    """
    text = text[:MAX_CHARACTERS]
    if sum(map(str.isalpha, text)) < MIN_LETTERS:
        return "und", 0.0
    words = len(re.findall(r"[^\W\d_]+", text))
    found = _ENGLISH.findall(text.lower())
    if words >= _ENGLISH_WORDS and len(found) >= _ENGLISH_SHARE * words:
        return "en", 1.0
    if len(set(found)) >= _SHORT_DIFFERENT and len(found) >= _SHORT_SHARE * words:
        return "en", 1.0
    code, confidence = _identifier().classify(text)
    if code != "en" and confidence < MIN_CONFIDENCE:
        return "und", confidence
    return code, confidence


@cache
def _identifier() -> LanguageIdentifier:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
