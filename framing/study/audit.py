"""Does a model read the framing, or the names? Behavioural tests of any bundle.

After CheckList (Ribeiro et al. 2020, doi:10.18653/v1/2020.acl-main.442): invariance (names,
outlets, spelling tricks must change nothing), directional expectation (a loaded word must bring
its label, its removal or a quotation must take it away) and minimum functionality (plain facts
are free of tone and stance).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from framing.model.metrics import Estimate
from framing.study import probes
from framing.study.behaviour import (
    Audited,
    Judge,
    Miss,
    Requirement,
    Scored,
    comes,
    free,
    goes,
    score,
    spelt,
    steady,
)
from framing.study.probes import Case
from framing.study.resample import Resamples

TONE = ("sensationalism", "loaded_language")
STANCE = ("commentary", "state_aligned", "advocacy", "speculation")
RELAY = "media_relay"
CORE_ONLY = "needs the tone and stance labels of the core codebook"

MAX_FLIPS, MAX_SHIFT, MAX_MASK_FLIPS, MAX_DISGUISE_FLIPS = 0.015, 0.03, 0.01, 0.0
MIN_COMES, MIN_GOES, MIN_QUOTED, MIN_FREE, MAX_F1_LOST = 0.85, 0.90, 0.85, 0.97, 0.10


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the audit.

    Attributes
    ----------
    name, what
        "swap country", and what is done and must follow.
    cases, events
        How many pairs of passages, and how many events they tell of.
    requirements
        What the part passes or fails by.
    figures
        By measure and label; "any label" counts a case once, whichever label it is.
    misses
        The clearest cases that went wrong, five at most.
    """

    name: str
    what: str
    cases: int
    events: int
    requirements: tuple[Requirement, ...]
    figures: Mapping[str, Mapping[str, Estimate]]
    misses: tuple[Miss, ...]

    @property
    def passed(self) -> bool:
        """Whether every requirement is met."""
        return all(requirement.met for requirement in self.requirements)

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready data."""
        return {
            "name": self.name,
            "what": self.what,
            "cases": self.cases,
            "events": self.events,
            "passed": self.passed,
            "requirements": [requirement.to_dict() for requirement in self.requirements],
            "figures": {
                measure: {label: found.to_dict() for label, found in row.items()}
                for measure, row in self.figures.items()
            },
            "misses": [asdict(miss) for miss in self.misses],
        }


@dataclass(frozen=True, slots=True)
class Audit:
    """All parts, and those left out with the reason."""

    model: str
    labels: tuple[str, ...]
    seed: int
    parts: tuple[Part, ...]
    left_out: Mapping[str, str]

    @property
    def passed(self) -> bool:
        """Whether every part passed."""
        return all(part.passed for part in self.parts)

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready data."""
        return {
            "model": self.model,
            "labels": list(self.labels),
            "seed": self.seed,
            "passed": self.passed,
            "parts": [part.to_dict() for part in self.parts],
            "left_out": dict(self.left_out),
        }


def audit(
    model: Audited,
    *,
    name: str = "model",
    seed: int = 0,
    on_scored: Callable[[int, int], None] | None = None,
) -> Audit:
    """Put a model through all parts that its labels allow.

    A label holds where its probability reaches its threshold, sure or not. Requirements on flips
    and shifts hold for each label: the worst one decides.

    Parameters
    ----------
    model
        Any labels will do for swaps, mask, disguises and typos; the other parts need the core
        codebook's tone and stance labels.
    name
        What tables call it.
    seed
        Seeds the choice and filling of passages and the bootstrap.
    on_scored
        Called with how many of how many passages are scored.
    """
    core = set(TONE + STANCE) <= set(model.labels)
    telling = _telling(seed)
    plans = [*_unchanging(seed), *(telling if core else ()), _mistyped(seed, core)]
    scored = score(model, [plan.cases for plan in plans], on_scored)
    return Audit(
        model=name,
        labels=tuple(model.labels),
        seed=seed,
        parts=tuple(plan.measured(each, seed) for plan, each in zip(plans, scored, strict=True)),
        left_out={} if core else {plan.name: CORE_ONLY for plan in telling},
    )


@dataclass(frozen=True, slots=True)
class _Plan:
    """A part before it is measured."""

    name: str
    what: str
    cases: Sequence[Case]
    judge: Judge

    def measured(self, scored: Scored, seed: int) -> Part:
        resamples = Resamples.of([case.event for case in self.cases], seed)
        verdict = self.judge(scored, resamples)
        return Part(
            name=self.name,
            what=self.what,
            cases=len(self.cases),
            events=resamples.events,
            requirements=verdict.requirements,
            figures=verdict.figures,
            misses=scored.misses(verdict.blame),
        )


def _unchanging(seed: int) -> list[_Plan]:
    """Parts in which no label may change."""
    swaps = [
        _Plan(
            f"swap {what}",
            f"one {what} becomes another: no label changes",
            cases,
            steady(MAX_FLIPS, MAX_SHIFT),
        )
        for what, cases in probes.swaps(seed).items()
    ]
    mask = "the outlet's name is masked: only media_relay may change"
    tricks = "invisible characters, soft hyphens, look-alikes, full width: no label changes"
    return [
        *swaps,
        _Plan("publisher mask", mask, probes.masks(seed), steady(MAX_MASK_FLIPS, spared=(RELAY,))),
        _Plan("disguises", tricks, probes.disguises(seed), steady(MAX_DISGUISE_FLIPS)),
    ]


def _telling(seed: int) -> list[_Plan]:
    """Parts in which tone and stance labels must come, go or stay away."""
    plans = []
    put_in = probes.injections(seed)
    for what, label in (("loaded", "loaded_language"), ("startling", "sensationalism")):
        came = f"one {what} wording is put into a plain passage: {label} comes"
        went = f"it is taken out again: {label} goes"
        taken_out = [Case(c.event, c.after, c.before) for c in put_in[what]]
        plans += [
            _Plan(f"{what} put in", came, put_in[what], comes(label, MIN_COMES)),
            _Plan(f"{what} taken out", went, taken_out, goes((label,), MIN_GOES)),
        ]
    quoted = "the author's words become a quotation: the author's tone and stance labels go"
    plain = "plain facts about any country and group: no tone or stance label"
    return [
        *plans,
        _Plan("quotation", quoted, probes.quotations(seed), goes(TONE + STANCE, MIN_QUOTED)),
        _Plan("neutral facts", plain, probes.facts(seed), free(TONE + STANCE, MIN_FREE)),
    ]


def _mistyped(seed: int, coded: bool) -> _Plan:
    """The part of slips; labels of one's own are held against the decisions on the clean text."""
    against = "the corpus' labels" if coded else "the decisions on the clean text"
    what = f"5 % of characters mistyped: F1 against {against} holds"
    return _Plan("typos", what, probes.typos(seed), spelt(MAX_F1_LOST, coded))
