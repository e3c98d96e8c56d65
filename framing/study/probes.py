"""The audit's cases: passages, and the same passages with one thing changed.

What is changed decides what must follow: nothing, where only a name became another; a label, where
a word came in or went out. The passages are the parallel corpus and, beside it, `audit.yaml`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from itertools import cycle, islice
from typing import Any

import numpy as np
import yaml

from framing.codebook import parallel
from framing.study.disguise import DISGUISES, mistyped

MASK = "Outlet"
SLOTS = {"country": "AB", "leader": "AB", "party": "PQ", "outlet": "OR"}
MARKS = {  # what a passage must hold for the swap to change it
    "country": re.compile(r"\{[AB](?:\.adj|\.capital)?\}"),
    "leader": re.compile(r"\{[AB]\.leader\}"),
    "party": re.compile(r"\{[PQ]\}"),
    "outlet": re.compile(r"\{[OR](?:\.bare)?\}"),
}
PAIRS = {"country": 600, "leader": 300, "party": 300, "outlet": 300}
OWN_EACH = 4  # fillings of a passage that no model was trained on, of each slot
LOADED_EACH, SHOCKS_EACH, QUOTES_EACH, FACTS_EACH, SWAPS_EACH = 4, 3, 4, 8, 6
TYPED, DISGUISED = 600, 120

_BRACKET = re.compile(r"\[([^|\]]*)\|(\w+)\]( ?)")
_WORD = re.compile(r"\{(\w+)\}")

Rng = np.random.Generator


@dataclass(frozen=True, slots=True)
class Case:
    """A passage before and after a change; equal where nothing is changed.

    `event` is what cases are resampled by, `own` says that the passage is none of the corpus (on
    which a model may have been trained), `labels` are those that hold before, where known.
    """

    event: str
    before: str
    after: str
    own: bool = True
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Passage:
    """A passage with slots, from the corpus or from `audit.yaml`."""

    event: str
    text: str
    own: bool
    outlets: tuple[str, ...]
    labels: tuple[str, ...] = ()


def swaps(seed: int) -> dict[str, tuple[Case, ...]]:
    """Cases by what is swapped: country, leader, party, outlet, gender, religion."""
    passages = [*_neutral(), *_opinions(), *_relays(), *_corpus()]
    named = {what: _swapped(what, passages, _rng(seed, what)) for what in SLOTS}
    return {
        **named,
        "gender": tuple(_genders(_rng(seed, "gender"))),
        "religion": tuple(_religions(_rng(seed, "religion"))),
    }


def masks(seed: int) -> tuple[Case, ...]:
    """Passages that name an outlet, and the same with its name masked."""
    rng = _rng(seed, "mask")
    cases = []
    for passage in _holding("outlet", [*_neutral(), *_relays(), *_corpus()], PAIRS["outlet"], rng):
        named = _drawn(passage, rng)
        masked = replace(named, names={**named.names, "O": MASK, "R": MASK})
        text = passage.text
        cases.append(Case(passage.event, named.of(text), masked.of(text), passage.own))
    return tuple(cases)


def injections(seed: int) -> dict[str, tuple[Case, ...]]:
    """Neutral passages before and after one loaded, or one startling, wording is put in."""
    loaded, startling = [], []
    rng = _rng(seed, "injection")
    for passage in _neutral():
        filling = _drawn(passage, rng)
        neutral = filling.of(passage.text)
        loaded += [
            Case(passage.event, neutral, filling.of(text))
            for text in _take(_loaded(_marked(passage.event)), LOADED_EACH, rng)
        ]
        startling += [
            Case(passage.event, neutral, text)
            for text in _take(_shocking(neutral), SHOCKS_EACH, rng)
        ]
    return {"loaded": tuple(loaded), "startling": tuple(startling)}


def quotations(seed: int) -> tuple[Case, ...]:
    """Opinions in the author's voice, and the same words in somebody's quotation."""
    rng = _rng(seed, "quotation")
    cases = []
    for passage, sentences in zip(_opinions(), _data()["opinions"], strict=True):
        filling = _drawn(passage, rng)
        said = filling.of(passage.text)
        first = filling.of(sentences[0])
        frames = [f for f in _data()["attributions"] if "{q2}" not in f or len(sentences) > 1]
        for frame in _take(frames, QUOTES_EACH, rng):
            quoted = (
                frame.replace("{q,}", _comma(said))
                .replace("{q1,}", _comma(first))
                .replace("{q2}", said.removeprefix(first).strip())
                .replace("{q}", said)
            )
            cases.append(Case(passage.event, said, quoted))
    return tuple(cases)


def facts(seed: int) -> tuple[Case, ...]:
    """Plain facts about many countries and groups; nothing is changed."""
    rng = _rng(seed, "facts")
    cases = []
    for i, text in enumerate(_data()["facts"]):
        for _ in range(FACTS_EACH):
            group = str(rng.choice(_data()["groups"]))
            group = group if not text.startswith("{G}") else group[0].upper() + group[1:]
            passage = _Passage(f"fact {i}", text.replace("{G}", group), True, _invented())
            fact = _drawn(passage, rng).of(passage.text)
            cases.append(Case(passage.event, fact, fact))
    return tuple(cases)


def disguises(seed: int) -> tuple[Case, ...]:
    """Passages before and after each disguise that leaves their looks as they were."""
    rng = _rng(seed, "disguise")
    cases = []
    for p in _take([*_neutral(), *_opinions(), *_relays(), *_corpus()], DISGUISED, rng):
        text = _drawn(p, rng).of(p.text)
        cases += [Case(p.event, text, disguise(text, rng), p.own) for disguise in DISGUISES]
    return tuple(cases)


def typos(seed: int) -> tuple[Case, ...]:
    """Passages of the corpus with their labels, and the same mistyped."""
    rng = _rng(seed, "typos")
    cases = []
    for p in _take(_corpus(), TYPED, rng):
        text = _drawn(p, rng).of(p.text)
        cases.append(Case(p.event, text, mistyped(text, rng), False, p.labels))
    return tuple(cases)


@cache
def _data() -> Any:
    return yaml.safe_load(resources.files(parallel).joinpath("audit.yaml").read_text("utf-8"))


def _rng(seed: int, part: str) -> Rng:
    """One stream for each part: more cases in one leave the others as they were."""
    return np.random.default_rng([seed, *part.encode()])


def _invented() -> tuple[str, ...]:
    return parallel.fillings().outlets


@cache
def _corpus() -> tuple[_Passage, ...]:
    return tuple(
        _Passage(t.event, t.text, False, _invented(), t.labels)
        for t in parallel.tellings()
        if parallel.held_out(t.event)
    )


@cache
def _neutral() -> tuple[_Passage, ...]:
    return _own("neutral", [_plain(text) for text in _data()["neutral"]], _data()["outlets"])


@cache
def _opinions() -> tuple[_Passage, ...]:
    return _own("opinion", [" ".join(s) for s in _data()["opinions"]], _invented())


@cache
def _relays() -> tuple[_Passage, ...]:
    return _own("relay", _data()["relays"], _data()["outlets"])


def _own(kind: str, texts: Sequence[str], outlets: Sequence[str]) -> tuple[_Passage, ...]:
    return tuple(
        _Passage(f"{kind} {i}", text, True, tuple(outlets)) for i, text in enumerate(texts)
    )


def _take(items: Sequence[Any], count: int, rng: Rng) -> list[Any]:
    """At most `count` of the items, in a random order."""
    return [items[i] for i in rng.permutation(len(items))[:count]]


def _drawn(passage: _Passage, rng: Rng) -> parallel.Filling:
    return parallel.fillings().draw(rng, passage.outlets)


def _holding(what: str, passages: Sequence[_Passage], count: int, rng: Rng) -> Iterator[_Passage]:
    """`count` passages that the swap changes: the audit's own several times, then the corpus'."""
    held = [p for p in passages if MARKS[what].search(p.text)]
    own, corpus = [p for p in held if p.own], [p for p in held if not p.own]
    order = [*own * OWN_EACH, *_take(corpus, len(corpus), rng)]
    yield from islice(cycle(order), count)


def _swapped(what: str, passages: Sequence[_Passage], rng: Rng) -> tuple[Case, ...]:
    cases = []
    for passage in _holding(what, passages, PAIRS[what], rng):
        old = _drawn(passage, rng)
        new = _drawn(passage, rng)
        while any(_value(old, what, slot) == _value(new, what, slot) for slot in SLOTS[what]):
            new = _drawn(passage, rng)
        after = _merged(old, new, what).of(passage.text)
        cases.append(Case(passage.event, old.of(passage.text), after, passage.own))
    return tuple(cases)


def _value(filling: parallel.Filling, what: str, slot: str) -> str:
    return filling.names[slot] if what in ("party", "outlet") else filling.countries[slot].name


def _merged(old: parallel.Filling, new: parallel.Filling, what: str) -> parallel.Filling:
    """`old` with what is swapped taken from `new`: a country keeps its leader, a leader its."""
    if what in ("party", "outlet"):
        return replace(old, names={**old.names, **{s: new.names[s] for s in SLOTS[what]}})
    kept, taken = (old, new) if what == "leader" else (new, old)
    return replace(
        old,
        countries={
            slot: replace(kept.countries[slot], leader=taken.countries[slot].leader)
            for slot in SLOTS[what]
        },
    )


def _genders(rng: Rng) -> Iterator[Case]:
    data = _data()["gender"]
    for i, text in enumerate(data["passages"]):
        for name in _take(data["names"], SWAPS_EACH, rng):
            surname = str(rng.choice(data["surnames"]))
            man, woman = (
                {
                    **{pair[0]: pair[side] for pair in data["words"]},
                    "N": f"{name[side]} {surname}",
                    "S": surname,
                }
                for side in (0, 1)
            )
            yield Case(f"gender {i}", _worded(text, man), _worded(text, woman))


def _religions(rng: Rng) -> Iterator[Case]:
    data = _data()["religion"]
    for i, text in enumerate(data["passages"]):
        for _ in range(SWAPS_EACH):
            old, new = (
                dict(zip(data["words"], data["faiths"][k], strict=True))
                for k in rng.choice(len(data["faiths"]), 2, replace=False)
            )
            yield Case(f"religion {i}", _worded(text, old), _worded(text, new))


def _worded(text: str, words: Mapping[str, str]) -> str:
    """`text` with its slots filled; a slot in capitals ({He}) gives a word in capitals."""

    def word(match: re.Match[str]) -> str:
        slot = match[1]
        return words[slot] if slot in words else words[slot.lower()].capitalize()

    return _WORD.sub(word, text)


def _plain(text: str) -> str:
    """A neutral passage without its brackets."""
    return _BRACKET.sub(lambda m: m[1] + m[3] if m[1] else "", text)


def _marked(event: str) -> str:
    """The passage behind a neutral event's name, brackets and all."""
    return str(_data()["neutral"][int(event.split()[1])])


def _loaded(text: str) -> list[str]:
    """Every passage that one loaded wording in one of the brackets makes."""
    words: Mapping[str, Sequence[str]] = _data()["loaded"]
    return [
        _plain(text[: m.start()]) + word + (m[3] or "") + _plain(text[m.end() :])
        for m in _BRACKET.finditer(text)
        for word in words[m[2]]
    ]


def _shocking(text: str) -> list[str]:
    """Every passage that one shock marker makes."""
    markers: Mapping[str, Sequence[str]] = _data()["startling"]
    article = text.startswith(("The ", "A ", "An "))
    return [
        *(f"{marker} {text}" for marker in markers["before"]),
        *(f"{marker} {text[0].lower()}{text[1:]}" for marker in markers["into"] if article),
        *(f"{text} {marker}" for marker in markers["after"]),
    ]


def _comma(sentence: str) -> str:
    """A sentence as it stands before "said": its full stop is a comma."""
    return sentence[:-1] + "," if sentence.endswith(".") else sentence
