"""What scoring gives back: predictions, passages, profiles. Every later room reads these."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

from framing import __version__
from framing.text.document import Document, Kind

if TYPE_CHECKING:
    from framing.codebook.codebook import Codebook


class Decision(StrEnum):
    """Does the label hold? Unsure is an answer."""

    YES = "yes"
    NO = "no"
    UNSURE = "unsure"


@dataclass(frozen=True, slots=True)
class Prediction:
    """One label for one passage; `probability` is calibrated, in [0, 1]."""

    label: str
    probability: float
    decision: Decision


@dataclass(frozen=True, slots=True)
class Span:
    """Words that led to a label: ``document.text[start:end]``.

    `effect` is by how much the label's calibrated probability falls when the span is taken out.
    """

    start: int
    end: int
    effect: float


@dataclass(frozen=True, slots=True)
class ScoredPassage:
    """One passage with a prediction for every label of the codebook, in codebook order.

    `stage` says of a fast run which stage decided it: 1 the first, 2 the encoder.
    """

    start: int
    end: int
    kind: Kind
    text: str
    predictions: tuple[Prediction, ...]
    evidence: Mapping[str, tuple[Span, ...]] | None = None
    stage: int | None = None

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels decided yes."""
        return tuple(p.label for p in self.predictions if p.decision is Decision.YES)

    @property
    def unsure(self) -> tuple[str, ...]:
        """The labels decided neither way."""
        return tuple(p.label for p in self.predictions if p.decision is Decision.UNSURE)

    @property
    def probabilities(self) -> dict[str, float]:
        """Label to calibrated probability, in codebook order."""
        return {p.label: p.probability for p in self.predictions}

    @property
    def words(self) -> int:
        """How many words stand between spaces."""
        return len(self.text.split())

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready data."""
        row: dict[str, Any] = {
            "start": self.start,
            "end": self.end,
            "kind": str(self.kind),
            "text": self.text,
            "labels": list(self.labels),
            "unsure": list(self.unsure),
            "probabilities": self.probabilities,
        }
        if self.evidence is not None:
            row["evidence"] = {
                label: [
                    {
                        "start": s.start,
                        "end": s.end,
                        "text": self.text[s.start - self.start : s.end - self.start],
                        "effect": s.effect,
                    }
                    for s in spans
                ]
                for label, spans in self.evidence.items()
            }
        return row


@dataclass(frozen=True, slots=True)
class Share:
    """How much of a document carries a label: shares in [0, 1] of its story passages and words."""

    passages: float
    words: float
    unsure: float


@dataclass(frozen=True, slots=True)
class Profile:
    """A document's framing at a glance.

    Shares are of the story: passages decided boilerplate (where the codebook has such a label)
    are set aside and counted, not mixed in.
    """

    passages: int
    words: int
    set_aside_passages: int
    set_aside_words: int
    labels: Mapping[str, Share]

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready data."""
        return {
            "passages": self.passages,
            "words": self.words,
            "set_aside_passages": self.set_aside_passages,
            "set_aside_words": self.set_aside_words,
            "labels": {
                name: {"passages": s.passages, "words": s.words, "unsure": s.unsure}
                for name, s in self.labels.items()
            },
        }


class Labeller(Protocol):
    """A model, or the bundle it comes from."""

    @property
    def name(self) -> str:
        """What it is called."""

    @property
    def fingerprint(self) -> str:
        """What it does (SHA-256)."""

    @property
    def codebook(self) -> Codebook:
        """What its labels mean."""


@dataclass(frozen=True, slots=True)
class Provenance:
    """What made a result: enough to make the same bytes again.

    `first_stage` is the fingerprint of the first stage where one was used.
    """

    framing: str
    bundle: str
    bundle_fingerprint: str
    codebook: str
    codebook_fingerprint: str
    options: Mapping[str, Any] = field(default_factory=dict)
    first_stage: str | None = None

    @classmethod
    def of(
        cls, made_by: Labeller, options: Mapping[str, Any], first_stage: str | None = None
    ) -> Provenance:
        """What a model or its bundle makes with these options, by this version of framing."""
        return cls(
            framing=__version__,
            bundle=made_by.name,
            bundle_fingerprint=made_by.fingerprint,
            codebook=made_by.codebook.name,
            codebook_fingerprint=made_by.codebook.fingerprint,
            options=options,
            first_stage=first_stage,
        )

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready data."""
        first = {"first_stage": {"fingerprint": self.first_stage}} if self.first_stage else {}
        return {
            "framing": self.framing,
            "bundle": {"name": self.bundle, "fingerprint": self.bundle_fingerprint},
            **first,
            "codebook": {"name": self.codebook, "fingerprint": self.codebook_fingerprint},
            "options": dict(self.options),
        }


@dataclass(frozen=True, slots=True)
class ScoredDocument:
    """A document, its scored passages in order, and its profile.

    `read_share` is the share of the document's non-space characters that the model read.
    """

    document: Document
    passages: tuple[ScoredPassage, ...]
    profile: Profile
    read_share: float
    warnings: tuple[str, ...]
    provenance: Provenance

    def to_dict(self) -> dict[str, Any]:
        """The document as JSON-ready data, without `provenance` (written once a file)."""
        d = self.document
        return {
            "id": d.id,
            "title": d.title,
            "source": d.source,
            "date": d.date,
            "author": d.author,
            "language": d.language,
            "body_start": d.body_start,
            "read_share": self.read_share,
            "warnings": list(self.warnings),
            "profile": self.profile.to_dict(),
            "passages": [p.to_dict() for p in self.passages],
        }
