"""A passage told of other names: what training varies so that labels hang on wording alone.

The codebook's symmetry, as data: countries, leaders, outlets, genders and faiths are
interchangeable, so a passage keeps its labels when one becomes another throughout. And its
contrast: one evaluating word put into a plain passage makes its language loaded, one shock marker
makes it sensational (counterfactual augmentation; Kaushik, Hovy and Lipton 2020).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import numpy as np
import numpy.typing as npt
import yaml

from framing.codebook.parallel import fillings

#: How often each variation is tried on a passage.
COUNTRIES, LEADERS, OUTLETS, GENDERS, FAITHS = 0.25, 0.25, 0.3, 0.25, 0.7
#: How often a plain passage gets a loaded word or a shock marker.
LOADED, STARTLING = 0.06, 0.025

Rng = np.random.Generator
Targets = npt.NDArray[np.float32]


def vary(text: str, rng: Rng) -> str:
    """`text` with names drawn anew, each the same throughout."""
    for how_often, change in (
        (COUNTRIES, _other_countries),
        (LEADERS, _other_leaders),
        (OUTLETS, _other_outlets),
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


@cache
def _data() -> Any:
    text = resources.files("framing.train").joinpath("variation.yaml").read_text("utf-8")
    return yaml.safe_load(text)


def _pattern(words: Sequence[str]) -> re.Pattern[str]:
    longest_first = sorted(set(words), key=len, reverse=True)
    return re.compile(r"(?<!\w)(?:" + "|".join(map(re.escape, longest_first)) + r")(?!\w)")


def _swap(text: str, pattern: re.Pattern[str], to: Mapping[str, str]) -> str:
    return pattern.sub(lambda match: to.get(match[0], match[0]), text)


# --- countries --------------------------------------------------------------------------------


@cache
def _countries() -> tuple[re.Pattern[str], dict[str, tuple[str, str]]]:
    """A pattern of every country word, and for each the country and which of its words it is."""
    words: dict[str, tuple[str, str]] = {}
    for country in fillings().countries:
        bare = country.name.removeprefix("the ")
        words[bare] = (country.name, "name")
        words[country.adj] = (country.name, "adj")
        if country.capital != "Washington":  # a person, a paper and a state, too
            words[country.capital] = (country.name, "capital")
        for name, adj in _data()["also"].get(country.name, ()):
            words[name] = (country.name, "name")
            words.setdefault(adj, (country.name, "adj"))
    pattern = re.compile(r"(?:\b([Tt]he|[Aa]n?) )?" + _pattern(list(words)).pattern)
    return pattern, words


def _other_countries(text: str, rng: Rng) -> str:
    pattern, words = _countries()
    pool = fillings().countries
    order = rng.permutation(len(pool))
    told: dict[str, int] = {}

    def other(match: re.Match[str]) -> str:
        article = match[1] or ""
        word = match[0][len(article) + 1 :] if article else match[0]
        origin, part = words[word]
        country = pool[order[told.setdefault(origin, len(told)) % len(pool)]]
        after = text[match.end() :]
        if part == "name" and word in ("US", "U.S.", "UK", "U.K.") and re.match(r" [a-z]", after):
            part = "adj" if not _VERB.match(after) else "name"
        new = str(getattr(country, part))
        if article in ("the", "The") and part == "name":
            return new if article == "the" else new[0].upper() + new[1:]
        if article in ("a", "A", "an", "An"):
            article = article[0] + ("n" if new[0] in "AEIO" else "")
        return f"{article} {new}" if article else new

    return pattern.sub(other, text)


# After a country's short name: it acts ("US said"), or it describes ("US troops").
_VERB = re.compile(
    r" (?:is|was|has|had|will|would|can|could|may|must|should|and|or|to|in|on|at|by|for|from|with"
    r"|that|as|says|said|but|who|which|of|over|after|before|does|did)\b"
)


# --- leaders, outlets, genders, faiths --------------------------------------------------------


def _other_leaders(text: str, rng: Rng) -> str:
    names: list[list[str]] = _data()["leaders"]
    here = [pair for pair in names if re.search(rf"\b{pair[1]}\b", text)]
    if not here:
        return text
    order = [i for i in rng.permutation(len(names)) if names[i] not in here]
    to: dict[str, str] = {}
    for (given, surname), i in zip(here, order, strict=False):
        to[f"{given} {surname}"] = " ".join(names[i])
        to[surname] = names[i][1]
    return _swap(text, _pattern(list(to)), to)


@cache
def _outlets() -> tuple[re.Pattern[str], list[str]]:
    named: list[str] = [*_data()["outlets"], *fillings().outlets]
    known = [name.removeprefix("the ") for name in _data()["outlets"]]
    common = {"Sun", "Hill", "Dawn", "Independent", "Bild", "Fars"}  # words of other meanings, too
    plain = [name for name in known if name not in common]
    return re.compile(r"(?:\b[Tt]he )?" + _pattern(plain).pattern), named


def _other_outlets(text: str, rng: Rng) -> str:
    pattern, named = _outlets()
    told: dict[str, str] = {}

    def other(match: re.Match[str]) -> str:
        bare = match[0].removeprefix("the ").removeprefix("The ")
        new = told.setdefault(bare, str(rng.choice(named)))
        return new[0].upper() + new[1:] if match[0].startswith("The ") else new

    return pattern.sub(other, text)


@cache
def _genders() -> tuple[re.Pattern[str], dict[str, str]]:
    to: dict[str, str] = {}
    for he, she in _data()["genders"]:
        for one, other in ((he, she), (she, he)):
            to.setdefault(one, other)
            to.setdefault(one[0].upper() + one[1:], other[0].upper() + other[1:])
    return _pattern(list(to)), to


# What follows "her": anything but these makes it "his".
_NOUN = re.compile(
    r" (?!(?:to|in|on|at|for|and|that|as|with|over|up|out|back|off|down|from|by|into|away|if)\b)\w"
)


def _other_genders(text: str, rng: Rng) -> str:
    pattern, to = _genders()

    def other(match: re.Match[str]) -> str:
        word = match[0]
        if word.lower() == "her":  # "him" at the end of a phrase, "his" before a noun
            follows = re.match(
                r" (?!to\b|in\b|on\b|at\b|for\b|and\b|that\b|as\b|with\b)\w", text[match.end() :]
            )
            return ("his" if follows else "him") if word == "her" else "His"
        return to[word]

    return pattern.sub(other, text)


# "the Islamic State", a temple of learning, a priest of any church
_OTHER_MEANINGS = {"Islamic", "temple", "temples", "Gospel", "Easter", "priest", "priests"}


@cache
def _faiths() -> re.Pattern[str]:
    words = [word for faith in _data()["faiths"] for word in faith]
    return _pattern([w for w in words if w not in _OTHER_MEANINGS])


def _other_faiths(text: str, rng: Rng) -> str:
    faiths: list[list[str]] = _data()["faiths"]
    order = rng.permutation(len(faiths))

    def other(match: re.Match[str]) -> str:
        i, faith = next((i, f) for i, f in enumerate(faiths) if match[0] in f)
        new: list[str] = faiths[order[i]]
        return new[faith.index(match[0])]

    return _faiths().sub(other, text)


# --- contrast ---------------------------------------------------------------------------------


def _startled(text: str, rng: Rng) -> str:
    """`text` with a shock marker before it, at its beginning or after it, or in capitals."""
    markers: Mapping[str, Sequence[str]] = _data()["startling"]
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
    words: Mapping[str, Sequence[str]] = _data()["loaded"]
    quoted = [match.span() for match in re.finditer(r"[“\"].*?[”\"]", text)]
    places = [
        match
        for match in _pattern(list(words)).finditer(text)
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
