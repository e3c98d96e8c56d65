"""Our parallel corpus (CC0): one invented event told in every framing, with slots to swap.

Slots are ``{A}``, ``{A.adj}``, ``{A.capital}``, ``{A.leader}`` and the same for ``B`` (countries),
``{P}``, ``{Q}`` (parties), ``{O}``, ``{R}`` (outlets). Filling a slot anew is the swap test: a
label that holds must still hold.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources

import numpy as np
import yaml

#: The share of events that no model is trained on.
HELD_OUT = 0.15

_SLOT = re.compile(r"\{([ABPQOR])(?:\.(adj|capital|leader|bare))?\}")
_ARTICLE = re.compile(r"\b([Aa])n?(?= ([“\"‘']?)\{)")
# "the" of the text before "the" of the filling: "the ever-reliable the Morning Herald".
_TWO_ARTICLES = re.compile(r"\b((?:[Tt]he|[Aa]n?|[Oo]ur|[Ii]ts) (?:[\w-]+able )?)the (?=[A-Z])")


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


@dataclass(frozen=True, slots=True)
class Fillings:
    """What may fill a slot."""

    countries: tuple[Country, ...]
    surnames: tuple[str, ...]
    parties: tuple[str, ...]
    outlets: tuple[str, ...]

    def draw(self, rng: np.random.Generator, outlets: Sequence[str] = ()) -> Filling:
        """A random filling, outlets from `outlets` where given; no two slots get the same."""
        outlets = outlets or self.outlets
        a, b = rng.choice(len(self.countries), 2, replace=False)
        p, q = rng.choice(len(self.parties), 2, replace=False)
        o, r = rng.choice(len(outlets), 2, replace=False)
        return Filling(
            countries={"A": self.countries[a], "B": self.countries[b]},
            names={
                "P": self.parties[p],
                "Q": self.parties[q],
                "O": outlets[o],
                "R": outlets[r],
            },
        )


@dataclass(frozen=True, slots=True)
class Filling:
    """What fills the slots of one passage: countries and names by slot."""

    countries: Mapping[str, Country]
    names: Mapping[str, str]

    def of(self, text: str) -> str:
        """`text` filled; "a"/"an" before a slot follows the filling."""

        def value(match: re.Match[str]) -> str:
            slot, part = match.groups()
            if slot in self.countries:
                return str(getattr(self.countries[slot], part or "name"))
            name = self.names[slot]
            return name.removeprefix("the ") if part == "bare" else name

        def article(match: re.Match[str]) -> str:
            slot = _SLOT.match(text, match.end() + 1 + len(match[2]))
            vowel = slot is not None and value(slot)[0] in "AEIO"
            return match[1] + ("n" if vowel else "")

        text = _ARTICLE.sub(article, text)
        filled = _TWO_ARTICLES.sub(r"\1", _SLOT.sub(value, text))
        return re.sub(r"(^|[.!?][”\"]? )the (?=[A-Z])", r"\1The ", filled)


@cache
def fillings() -> Fillings:
    """Everything that may fill a slot."""
    data = yaml.safe_load(resources.files(__package__).joinpath("slots.yaml").read_text("utf-8"))
    return Fillings(
        countries=tuple(Country(*row) for row in data["countries"]),
        surnames=tuple(data["surnames"]),
        parties=tuple(data["parties"]),
        outlets=tuple(data["outlets"]),
    )


def fill(telling: Telling, rng: np.random.Generator) -> str:
    """The telling with its slots filled at random, any leader to any country."""
    if "{" not in telling.text:
        return telling.text
    pool = fillings()
    drawn = pool.draw(rng)
    leaders = rng.choice(pool.surnames, 2, replace=False)
    countries = {
        slot: replace(country, leader=str(leader)) if rng.random() < 0.7 else country
        for (slot, country), leader in zip(drawn.countries.items(), leaders, strict=True)
    }
    return replace(drawn, countries=countries).of(telling.text)


def held_out(event: str) -> bool:
    """Whether an event is kept from training, so that the audit has tellings never trained on."""
    return int(hashlib.sha256(event.encode()).hexdigest()[:8], 16) / 2**32 < HELD_OUT
