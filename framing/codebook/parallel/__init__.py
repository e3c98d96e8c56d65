"""Our parallel corpus (CC0): one invented event told in every framing, with slots to swap.

Slots are ``{A}``, ``{A.adj}``, ``{A.capital}``, ``{A.leader}`` and the same for ``B`` (countries),
``{P}``, ``{Q}`` (parties), ``{O}``, ``{R}`` (outlets). Filling a slot anew is the swap test: a
label that holds must still hold.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np
import yaml

_SLOT = re.compile(r"\{([ABPQOR])(?:\.(adj|capital|leader))?\}")
_ARTICLE = re.compile(r"\b([Aa])n?(?= ([“\"‘']?)\{)")


@dataclass(frozen=True, slots=True)
class Telling:
    """One wording of one event; `labels` is every label that a careful reader would defend."""

    event: str
    topic: str
    role: str
    labels: tuple[str, ...]
    text: str


@dataclass(frozen=True, slots=True)
class Country:
    """What fills a country slot; `leader` is an invented surname."""

    name: str
    adj: str
    capital: str
    leader: str


@cache
def tellings() -> tuple[Telling, ...]:
    """The whole corpus, by event, in file order."""
    rows = []
    for path in sorted(resources.files(__package__).iterdir(), key=lambda p: p.name):
        if path.name.endswith(".jsonl"):
            rows += [json.loads(line) for line in path.read_text("utf-8").splitlines() if line]
    return tuple(
        Telling(r["event"], r["topic"], r["role"], tuple(r["labels"]), r["text"]) for r in rows
    )


@cache
def fillings() -> tuple[tuple[Country, ...], tuple[str, ...], tuple[str, ...]]:
    """Countries, parties and outlets that may fill a slot."""
    data = yaml.safe_load(resources.files(__package__).joinpath("slots.yaml").read_text("utf-8"))
    countries = tuple(Country(*row) for row in data["countries"])
    return countries, tuple(data["parties"]), tuple(data["outlets"])


def fill(telling: Telling, rng: np.random.Generator) -> str:
    """The telling with its slots filled at random; the same slot gets the same filling."""
    if "{" not in telling.text:
        return telling.text
    countries, parties, outlets = fillings()
    a, b = rng.choice(len(countries), 2, replace=False)
    p, q = rng.choice(len(parties), 2, replace=False)
    o, r = rng.choice(len(outlets), 2, replace=False)
    return fill_with(
        telling.text,
        {"A": countries[a], "B": countries[b]},
        {"P": parties[p], "Q": parties[q], "O": outlets[o], "R": outlets[r]},
    )


def fill_with(text: str, countries: dict[str, Country], names: dict[str, str]) -> str:
    """`text` with given fillings; "a"/"an" before a slot follows the filling."""

    def value(match: re.Match[str]) -> str:
        slot, part = match.groups()
        if slot in countries:
            return str(getattr(countries[slot], part or "name"))
        return names[slot]

    def article(match: re.Match[str]) -> str:
        slot = _SLOT.match(text, match.end() + 1 + len(match[2]))
        vowel = slot is not None and value(slot)[0] in "AEIO"
        return match[1] + ("n" if vowel else "")

    text = _ARTICLE.sub(article, text)
    filled = _SLOT.sub(value, text)
    return re.sub(r"(^|[.!?][”\"]? )the (?=[A-Z])", r"\1The ", filled)
