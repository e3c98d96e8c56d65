"""Names in a passage drawn anew, each the same throughout: countries, leaders, parties, outlets.

A name is taken out only where it is surely one ("May" is a month unless it is Theresa May); what
is put in may be any of the known names or one made up.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, partial
from importlib import resources
from typing import Any

import numpy as np
import yaml

from framing.codebook.parallel import fillings

Rng = np.random.Generator

#: How often an outlet's or a leader's new name is made up.
MADE_UP = 0.5


@cache
def data() -> Any:
    """The word lists of `variation.yaml`."""
    text = resources.files("framing.train").joinpath("variation.yaml").read_text("utf-8")
    return yaml.safe_load(text)


def any_of(words: Iterable[str]) -> str:
    """A regular expression of any of the words, as whole words."""
    longest_first = sorted(set(words), key=lambda word: (-len(word), word))
    return r"(?<!\w)(?:" + "|".join(map(re.escape, longest_first)) + r")(?!\w)"


_NAMED = r"(?:\b(?P<article>[Tt]he|[Aa]n?) )?(?=[A-Z])(?P<name>%s)(?P<own>['’]s\b|(?<=s)['’](?= ))?"
# After a name: what follows goes on about it ("US said"), or is described by it ("US troops").
_GOES_ON = re.compile(
    r" (?:is|was|are|were|has|had|have|will|would|can|could|may|might|must|should|and|or|nor|to|in"
    r"|on|at|by|for|from|with|that|as|says|said|told|but|who|whose|which|of|over|after|before|does"
    r"|did|do|not|than|when|if|while|where|because|also|about|against|into|reported|reports|wrote"
    r"|writes|via|he|she|they|it|we|you|I|the|a|an|this|these|those|his|her|their|its|all|both"
    r"|want|wants|need|needs|say|think|believe|wins|loses|gets|seeks|calls|close|took|won|lost"
    r"|made|make|under|through|during|since"
    r"|until|between|so|then|there|alone|too|now|today|yesterday|again|still|just|even|never"
    r"|\w+ed|\w+ly|On|In|At|And|To|The|For|Is|Was|As|Says|Said|Over|After)\b"
)
_VOWEL = re.compile(r"[AEIOaeio]|Uzb|[FHLMNRSX](?=[A-Z]|-tv)")


def _describes(after: str) -> bool:
    return re.match(r" [A-Za-z]", after) is not None and not _GOES_ON.match(after)


def _starts(text: str, at: int) -> bool:
    """Whether a sentence starts there."""
    return not text[:at].strip("“\"'‘( ") or bool(
        re.search(r"[.!?:][”\"’)]? [“\"‘]?$|\n[“\"]?$", text[max(0, at - 4) : at])
    )


def _put(match: re.Match[str], new: str, *, kept: bool) -> str:
    """`new` in place of a name with its article; "the" of the passage stays where it is `kept`."""
    text, article, own = match.string, match["article"] or "", match["own"] or ""
    bare = new.removeprefix("the ")
    if own:
        own = own[0] + ("" if new.endswith("s") else "s")
    if article[:1] in ("a", "A"):
        return f"{article[0]}{'n' if _VOWEL.match(bare) else ''} {bare}{own}"
    if article and kept:
        return f"{article} {bare}{own}"
    if text[match.end() :][:1] == "-" or text[: match.start()][-1:] == "-":
        return bare + own
    if new != bare and (article == "The" or _starts(text, match.start())):
        return f"The {bare}{own}"
    return new + own


# --- countries --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Nation:
    """A country and the words that stand for it."""

    name: str
    adj: str
    capital: str
    people: str
    seat: str


@cache
def nations() -> tuple[Nation, ...]:
    """Every country: those of the parallel corpus first."""
    rows = [(c.name, c.adj, c.capital) for c in fillings().countries]
    rows += [tuple(row) for row in data()["countries"]]
    return tuple(
        Nation(name, adj, capital, _people(adj), data()["seats"].get(name, f"{adj} government"))
        for name, adj, capital in rows
    )


def _people(adj: str) -> str:
    plural = adj + "s" if adj[-1] in "nik" and adj != "Philippine" else f"{adj} citizens"
    return str(data()["peoples"].get(adj, plural))


@cache
def _nation_words() -> tuple[re.Pattern[str], dict[str, tuple[str, str]]]:
    """A pattern of every country word, and for each the country and which of its words it is."""
    words: dict[str, tuple[str, str]] = {}
    for nation in nations():
        words[nation.name.removeprefix("the ")] = (nation.name, "name")
        words.setdefault(nation.adj, (nation.name, "adj"))
        words[nation.capital] = (nation.name, "capital")
        if " citizens" not in nation.people:
            words[nation.people] = (nation.name, "people")
        if nation.name in data()["seats"]:
            words[nation.seat] = (nation.name, "seat")
        for name, adj in data()["also"].get(nation.name, ()):
            words[name] = (nation.name, "name")
            words.setdefault(adj, (nation.name, "adj"))
    read = [word for word in words if word not in (*data()["put_in_only"], "Washington")]
    before = "New |African |African-|Native |Latin |North |South |Central |American |Cleveland "
    before += "|Times of |Voice of "
    not_after = "".join(f"(?<!{word})" for word in before.split("|"))
    # Washington is a person, a paper and a state, too.
    washington = (
        r"(?<!George )(?<!of )Washington"
        r"(?=['’]s | (?:and|has|is|was|will|would|says|must|should|wants) )"
    )
    others = r"(?! (?:Columbia|Post|Times|Daily|Herald|Tribune)\b|\$)"
    return re.compile(_NAMED % f"{not_after}{any_of(read)}{others}|{washington}"), words


def other_countries(text: str, rng: Rng) -> str:
    """`text` with each country another; no two become the same."""
    pattern, words = _nation_words()
    pool = nations()
    order = rng.permutation(len(pool))
    told: dict[str, int] = {}

    def other(match: re.Match[str]) -> str:
        word, after = match["name"], text[match.end() : match.end() + 20]
        origin, part = words[word]
        nation = pool[order[told.setdefault(origin, len(told)) % len(pool)]]
        short = word in ("US", "U.S.", "UK", "U.K.")
        ends = word.endswith(".") and _ENDS.match(after)
        if short and not (ends or match["own"]) and _describes(after):
            part = "adj"
        new = str(getattr(nation, part))
        if part == "seat" and new[-10:] != "government":
            new = f"the {new}" if match["article"] or not _describes(after) else new
        kept = part != "name" or not (short or origin.startswith("the "))
        return _put(match, new, kept=kept) + ("." if ends else "")

    return pattern.sub(other, text)


# After "U.S.": its full stop ends a sentence, too.
_ENDS = re.compile(
    r"[”\")]*(?:\s*$|\n| (?:The|It|He|She|They|In|On|But|And|A|An|This|That|We|I|If|As|At|For|Its"
    r"|His|Her|There|These|When|While|After|Mr|So|Or|To|By)\b| [“\"])"
)


# --- leaders ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Leader:
    """A head of state, government or party, or one who would be; `surname` as in the news."""

    name: str
    surname: str
    woman: bool


@cache
def leaders() -> tuple[Leader, ...]:
    """All that are known."""
    surnames = data()["surnames"]
    return tuple(
        Leader(name, surnames.get(name, name.split()[-1]), woman)
        for woman, names in ((False, data()["men"]), (True, data()["women"]))
        for name in names
    )


@cache
def _leader_words() -> tuple[re.Pattern[str], dict[str, Leader], dict[str, Leader]]:
    by_name = {leader.name: leader for leader in leaders()}
    by_surname: dict[str, Leader] = {}
    for leader in leaders():
        by_surname.setdefault(leader.surname, leader)
    return re.compile(r"(?=[A-Zev])" + any_of([*by_name, *by_surname])), by_name, by_surname


_TITLED = re.compile(
    r"(?:President|Prime Minister|Premier|Chancellor|Secretary|Minister|Senator|Sen\.|Gov\."
    r"|Governor|Rep\.|Mr\.?|Mrs\.?|Ms\.?) $"
)


def _titled(match: re.Match[str]) -> bool:
    return bool(_TITLED.search(match.string[max(0, match.start() - 16) : match.start()]))


def other_leaders(text: str, rng: Rng) -> str:
    """`text` with each leader another of the same gender, known or made up."""
    pattern, by_name, by_surname = _leader_words()
    found = list(pattern.finditer(text))
    here = [by_name[m[0]] for m in found if m[0] in by_name]
    whole = {leader.surname: leader for leader in reversed(here)}
    sure = {*whole, *(m[0] for m in found if _titled(m))}
    words, common = set(data()["words"]), {*data()["common"], *data()["words"]}
    told: dict[str, Leader] = {}

    def other(match: re.Match[str]) -> str:
        word = match[0]
        new = partial(_leader, here=here, made_up=_titled(match), rng=rng)
        if word in by_name:
            return told.setdefault(word, new(by_name[word])).name
        if word in common and not _titled(match) and (word in words or word not in sure):
            return word
        leader = whole.get(word, by_surname[word])
        return told.setdefault(leader.name, new(leader)).surname

    return pattern.sub(other, text)


def _leader(old: Leader, *, here: list[Leader], made_up: bool, rng: Rng) -> Leader:
    """Another of the same gender; made up only beside an office, else nobody knows one speaks."""
    if made_up and rng.random() < MADE_UP:
        surname = str(rng.choice(fillings().surnames))
        return Leader(f"{rng.choice(data()['given'][old.woman])} {surname}", surname, old.woman)
    pool = [x for x in leaders() if x.woman == old.woman and x not in here]
    return pool[rng.integers(len(pool))]


# --- parties ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Party:
    """A party's name ("the" with it), its members, one of them, and what describes their doings."""

    name: str
    people: str
    person: str
    adj: str


@cache
def parties() -> tuple[Party, ...]:
    """Known parties and those of the parallel corpus."""
    rows = [*data()["parties"], *([f"the {name}"] for name in fillings().parties)]
    found = []
    for name, *forms in rows:
        bare = name.removeprefix("the ")
        defaults = [f"{bare} members", f"{bare} politician", bare]
        people, person, adj = forms[:3] + defaults[len(forms[:3]) :]
        found.append(Party(name, people, person, adj))
    return tuple(found)


@cache
def _party_words() -> tuple[re.Pattern[str], dict[str, tuple[str, str]]]:
    words: dict[str, tuple[str, str]] = {}
    for (name, *forms), party in zip(data()["parties"], parties(), strict=False):
        for form in (name.removeprefix("the "), *forms[3:]):
            words[form] = (party.name, "name")
        if forms:
            words.setdefault(party.people, (party.name, "people"))
            words.setdefault(party.person, (party.name, "person"))
            words.setdefault(party.adj, (party.name, "adj"))
    read = [word for word in words if word not in (*data()["not_read"], "Democratic", "Labour")]
    doing = (
        r"(?:National|Senat\w+|Sen|Rep|Gov|House|President\w*|senators?|lawmakers?|leader\w*|voters?"
        r"|candidates?|nomin\w+|presidential|primar\w+|governors?|congress\w+|representatives?"
        r"|members?|debates?|caucus|majority|minority|opponents?|officials?|strategists?|operatives?"
        r"|donors?|base|establishment|platform|convention|politicians?|challengers?|rivals?|control"
        r"|mayors?|contenders?|hopefuls?|front-?runners?|leadership|state|vice|appointees?)\b"
    )
    names = (
        r"(?<!Free )(?<!National )(?<!Social )(?<!Christian )(?<!Liberal )"
        rf"{any_of(read)}(?! (?:Guard|Palace|River|Republic)\b)"
        rf"|\bDemocratic(?= {doing})"
        r"|\bLabour(?= (?:MP|MPs|leader|government|voters?|peers?|manifesto|council\w*|back\w+)\b)"
        r"|\bConservative(?= (?:MP|MPs|leader|government|voters?|peers?|manifesto|council\w*)\b)"
    )
    return re.compile(_NAMED % names), words


def other_parties(text: str, rng: Rng) -> str:
    """`text` with each party another, its members and what describes them, too."""
    pattern, words = _party_words()
    pool = parties()
    order = rng.permutation(len(pool))
    told: dict[str, int] = {}

    def other(match: re.Match[str]) -> str:
        word, after = match["name"], text[match.end() : match.end() + 20]
        origin, part = words[word]
        party = pool[order[told.setdefault(origin, len(told)) % len(pool)]]
        described = not match["own"] and (after[:1] == "-" or _describes(after))
        if part == "person" and described:
            part = "adj"
        elif part == "adj" and not described:
            part = "person"
        new = str(getattr(party, part))
        if part == "name" and not match["article"] and origin.startswith("the "):
            new = new.removeprefix("the ")
        return _put(match, new, kept=described or part != "name")

    return pattern.sub(other, text)


# --- outlets ----------------------------------------------------------------------------------


@cache
def outlets() -> tuple[str, ...]:
    """Real news outlets, with their article."""
    return tuple(name for group in data()["outlets"] for name in group)


@cache
def _outlet_words() -> tuple[re.Pattern[str], dict[str, str]]:
    known = {name.removeprefix("the "): name for name in outlets()}
    shaped = r"\b[A-Z][a-z]+ (?:News Agency|Herald|Tribune|Gazette|Chronicle|Examiner|Courier)\b"
    names = rf"(?:{any_of(known)}|{shaped})(?! (?:Palace|Square|City)\b)"
    return re.compile(
        _NAMED % names + r"(?P<kind> (?:[Nn]ews [Aa]gency|Agency|newspaper|daily)\b)?"
    ), known


_CITED_BEFORE = re.compile(
    r"(?:told|to|by|via|in|with|for|from|citing|quoted|agency|newspaper|magazine|©|\() $"
)
_CITED_AFTER = re.compile(
    r",? (?:reports?|reported|wrote|writes|news|magazine|reporter|correspondent|columnist|editor"
    r"|interview|op-ed|citing|quoted|published)\b"
)


def other_outlets(text: str, rng: Rng) -> str:
    """`text` with each outlet another, known or made up."""
    pattern, known = _outlet_words()
    ambiguous = set(data()["ambiguous"])
    told: dict[str, str] = {}

    def other(match: re.Match[str]) -> str:
        name, kind = match["name"], match["kind"]
        before, after = text[: match.start()][-14:], text[match.end() :][:20]
        own = known.get(name, name)
        if name in ambiguous and re.search(r"[A-Z]\w* $", before):
            return match[0]  # "Times" of the New York Times
        if name in ambiguous and not (kind or _CITED_AFTER.match(after)):
            cited = _CITED_BEFORE.search(before) and re.match(r"[.,;)’']|$", after)
            if not cited or (own.startswith("the ") and not match["article"]):
                return match[0]
        new = told.setdefault(name, outlet(rng))
        bare = own.startswith("the ") and not match["article"]
        if bare or re.search(r"(?:['’]s?|\b(?:his|her|our|its|their|my)) $", before):
            new = new.removeprefix("the ")
        return _put(match, new, kept=not kind and not own.startswith("the "))

    return pattern.sub(other, text)


def outlet(rng: Rng) -> str:
    """The name of an outlet: known, of the parallel corpus, or made up."""
    if rng.random() >= MADE_UP:
        return str(rng.choice([*outlets(), *fillings().outlets]))

    def one(words: str) -> str:
        return str(rng.choice(data()["invented"][words]))

    match rng.integers(6):
        case 0:
            return f"the {one('towns')} {one('papers')}"
        case 1:
            return f"{nations()[rng.integers(len(nations()))].adj} {one('agencies')}"
        case 2:
            return f"{rng.choice(['Radio', 'Channel', 'TV', 'Agency'])} {one('stems')}"
        case 3:
            return "".join(rng.choice(list("BCDFGHKLMNPQRSTVWZ"), 3)) + str(
                rng.choice(["", "", " News", "-TV"])
            )
        case 4:
            return f"{rng.choice(['the ', ''])}{one('papers')}"
        case _:
            return one("stems") + one("endings")
