"""A passage told of other names: what training varies so that labels hang on wording alone.

The codebook's symmetry, as data: countries, leaders, parties, outlets, genders and faiths are
interchangeable, so a passage keeps its labels when one becomes another throughout (`names` does
the first four). And its contrast: one evaluating word put into a plain passage makes its language
loaded, one shock marker makes it sensational (counterfactual augmentation; Kaushik, Hovy and
Lipton 2020).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from framing.train.names import (
    Rng,
    any_of,
    data,
    other_countries,
    other_leaders,
    other_outlets,
    other_parties,
)

#: How often each variation is tried on a passage.
COUNTRIES, LEADERS, PARTIES, OUTLETS, GENDERS, FAITHS = 0.35, 0.4, 0.4, 0.5, 0.3, 0.7
#: How often a plain passage gets a loaded word or a shock marker.
LOADED, STARTLING = 0.06, 0.025

Targets = npt.NDArray[np.float32]


def vary(text: str, rng: Rng) -> str:
    """`text` with names drawn anew, each the same throughout."""
    for how_often, change in (
        (COUNTRIES, other_countries),
        (LEADERS, other_leaders),
        (PARTIES, other_parties),
        (OUTLETS, other_outlets),
        (GENDERS, _other_genders),
        (FAITHS, _other_faiths),
    ):
        if rng.random() < how_often:
            text = change(text, rng)
    return text


@dataclass(frozen=True, slots=True)
class Contrast:
    """Puts loaded words and shock markers into plain passages, and changes their targets.

    Where the codebook has no such label, or no `factual_report` by which to tell a plain passage,
    nothing is put in.
    """

    labels: tuple[str, ...]

    def __call__(self, text: str, target: Targets, rng: Rng) -> tuple[str, Targets]:
        """The passage with its target row, changed or as it was; what becomes unknown is NaN."""
        chance = rng.random()
        if chance >= LOADED + STARTLING or not self._plain(target):
            return text, target
        changed = target.copy()
        if chance < STARTLING:
            text = _startled(text, rng)
            changed[self._at("sensationalism")] = 1
            changed[self._at("factual_report")] = 0
            unknown = ("loaded_language", "commentary", "speculation")
        else:
            loaded = _loaded(text, rng)
            if loaded is None:
                return text, target
            text = loaded
            changed[self._at("loaded_language")] = 1
            unknown = ("commentary", "factual_report", "state_aligned")
        for label in unknown:
            if label in self.labels:
                changed[self._at(label)] = np.nan
        return text, changed

    def _at(self, label: str) -> int:
        return self.labels.index(label)

    def _plain(self, target: Targets) -> bool:
        if not {"factual_report", "loaded_language", "sensationalism"} <= set(self.labels):
            return False
        free = ("loaded_language", "sensationalism", "commentary", "boilerplate", "advocacy")
        return bool(
            target[self._at("factual_report")] == 1
            and all(target[self._at(label)] == 0 for label in free if label in self.labels)
        )


# --- genders, faiths --------------------------------------------------------------------------


@cache
def _genders() -> tuple[re.Pattern[str], dict[str, str]]:
    to: dict[str, str] = {}
    for he, she in data()["genders"]:
        for one, other in ((he, she), (she, he)):
            to.setdefault(one, other)
            to.setdefault(one[0].upper() + one[1:], other[0].upper() + other[1:])
    return re.compile(any_of(to)), to


# What follows "her": a noun makes it "his", anything else "him".
_NOUN = re.compile(
    r" (?!(?:to|in|on|at|for|and|that|as|with|over|up|out|back|off|down|from|by|into|away|if)\b)\w"
)


def _other_genders(text: str, rng: Rng) -> str:
    pattern, to = _genders()

    def other(match: re.Match[str]) -> str:
        word = match[0]
        if word == "her":
            return "his" if _NOUN.match(text[match.end() :][:9]) else "him"
        return "His" if word == "Her" else to[word]

    return pattern.sub(other, text)


@cache
def _faiths() -> tuple[re.Pattern[str], dict[str, list[int]]]:
    """A pattern of every word of a faith, and for each the faiths that have it."""
    having: dict[str, list[int]] = {}
    for i, faith in enumerate(data()["faiths"]):
        for word in dict.fromkeys(faith):
            having.setdefault(word, []).append(i)
    # "the Islamic State", "Muslim Brotherhood", Christian Lindner
    return re.compile(rf"(?P<article>\b[Aa]n? )?(?P<word>{any_of(having)})(?! [A-Z])"), having


def _other_faiths(text: str, rng: Rng) -> str:
    pattern, having = _faiths()
    faiths: list[list[str]] = data()["faiths"]
    elsewhere = set(data()["of_other_meanings"])
    named = {having[m["word"]][0] for m in pattern.finditer(text) if m["word"] not in elsewhere}
    if not named:
        return text
    order = rng.permutation(len(faiths))

    def other(match: re.Match[str]) -> str:
        article, word = match["article"] or "", match["word"]
        those = [i for i in having[word] if i in named] or [
            i for i in having[word] if word not in elsewhere
        ]
        if not those:
            return match[0]
        new: str = faiths[order[those[0]]][faiths[those[0]].index(word)]
        if article:
            article = article[0] + ("n " if new[0] in "AEIOUaeiou" else " ")
        return article + new

    return pattern.sub(other, text)


# --- contrast ---------------------------------------------------------------------------------


def _startled(text: str, rng: Rng) -> str:
    """`text` with a shock marker before it, at its beginning or after it, or in capitals."""
    markers: Mapping[str, Sequence[str]] = data()["startling"]
    way = rng.random()
    if way < 0.4:
        return f"{rng.choice(markers['before'])} {text}"
    if way < 0.55 and text.startswith(("The ", "A ", "An ")):
        return f"{rng.choice(markers['into'])} {text[0].lower()}{text[1:]}"
    if way < 0.65 and len(text.split()) < 20:
        return text.upper().rstrip(".") + str(rng.choice(["!", "!!", "!!!", "?!"]))
    if way < 0.75:
        return text.rstrip(".") + str(rng.choice(["!", "!!", "!!!", "?!"]))
    return f"{text} {rng.choice(markers['after'])}"


def _loaded(text: str, rng: Rng) -> str | None:
    """`text` with one neutral word outside quotations made to evaluate; None where it has none."""
    words: Mapping[str, Sequence[str]] = data()["loaded"]
    quoted = [match.span() for match in re.finditer(r"[“\"].*?[”\"]", text)]
    places = [
        match
        for match in re.compile(any_of(words)).finditer(text)
        if not any(start < match.start() < end for start, end in quoted)
    ]
    if not places:
        return None
    place = places[rng.integers(len(places))]
    new = str(rng.choice(words[place[0]])).replace("{}", place[0])
    before = text[: place.start()]
    if match := re.search(r"\b([Aa])n? $", before):
        vowel = "n" if new[0] in "aeio" else ""
        before = f"{before[: match.start()]}{match[1]}{vowel} "
    return before + new + text[place.end() :]
