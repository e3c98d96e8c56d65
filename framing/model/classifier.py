"""A loaded bundle: text in, passages with labels, probabilities and a profile out."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from framing.codebook.codebook import Codebook
from framing.model.bundle import Bundle, BundleError, find_bundle, open_bundle
from framing.model.calibration import Decisions
from framing.model.evidence import find_evidence
from framing.model.manifest import ARRAYS, MODEL, TOKENIZER
from framing.model.scored import (
    Decision,
    Prediction,
    Profile,
    Provenance,
    ScoredDocument,
    ScoredPassage,
    Share,
    Span,
)
from framing.text.document import Document, Passage
from framing.text.normalize import Normalized, normalize
from framing.text.segment import segment, titled

Unit = Literal["paragraph", "sentence"]

PASSAGES_AT_A_TIME = 512  # how many passages `score_many` gathers before it scores
DIGITS = 6  # probabilities are rounded, then compared: what is printed is what was decided


class Engine(Protocol):
    """What turns clean text into logits: an encoder or the baseline."""

    def logits(self, texts: Sequence[str], /) -> NDArray[np.float32]:
        """Score texts, (n, labels)."""


def load(
    name_or_path: str | os.PathLike[str] = "core-en",
    *,
    threads: int | None = None,
    fast: bool = False,
) -> Model:
    """Load a bundle by name ("core-en", "core-en-tfidf") or from a folder.

    Parameters
    ----------
    name_or_path
        A bundle that ships with framing, or a folder that `framing train` wrote.
    threads
        How many batches to compute at a time; all cores available to the process by default.
        Results do not depend on it.
    fast
        Let the bundle's first stage decide the passages that it is certain of.

    Raises
    ------
    BundleError
        One line that says which file of the bundle is refused, why, and what to do.
    """
    bundle = open_bundle(find_bundle(name_or_path))
    engine = _engine(bundle, threads)
    return Model(bundle, _behind_first_stage(bundle, engine) if fast else engine)


class Model:
    """A model that labels passages.

    Attributes
    ----------
    name, fingerprint, first_stage, language
        The bundle's: what it is called, what it does (SHA-256), what the first stage that it may
        hold does, what it reads.
    labels
        In codebook order, the order of every probability array.
    decisions, thresholds
        For each label how its logit becomes a calibrated probability and the probability a
        decision; the probability from which it holds.
    codebook
        What the labels mean.
    """

    def __init__(self, bundle: Bundle, engine: Engine) -> None:
        self.name: str = bundle.name
        self.fingerprint: str = bundle.fingerprint
        self.first_stage: str | None = bundle.first_stage
        self.language: str = bundle.language
        self.labels: tuple[str, ...] = bundle.labels
        self.decisions: Decisions = bundle.decisions
        self.thresholds: dict[str, float] = bundle.decisions.thresholds
        self.codebook: Codebook = bundle.codebook
        self._engine = engine

    def __repr__(self) -> str:
        return f"Model({self.name!r}, {len(self.labels)} labels, {self.fingerprint[:12]})"

    def predict_proba(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Calibrated probabilities, (n, labels), rounded to six digits.

        A text's row depends on that text alone: not on the others, their order or the threads.
        """
        return self._calibrate(self._engine.logits([normalize(text).text for text in texts]))

    def score(
        self,
        document: Document | str,
        *,
        unit: Unit = "paragraph",
        evidence: bool = False,
        min_confidence: float | None = None,
    ) -> ScoredDocument:
        """Label every passage of a document or text.

        Parameters
        ----------
        document
            A document, or its text.
        unit
            Passages are headlines, paragraphs and list items, or single sentences.
        evidence
            Also find the words that led to each label (takes about twenty times as long).
        min_confidence
            Report a decision as unsure where its calibrated probability (p for yes, 1 - p for
            no) is below this. What falls into the label's own unsure band is unsure anyway.

        Raises
        ------
        ValueError
            `min_confidence` is not between 0 and 1, or `unit` is unknown.
        """
        return next(
            self.score_many([document], unit=unit, evidence=evidence, min_confidence=min_confidence)
        )

    def score_many(
        self,
        documents: Iterable[Document | str],
        *,
        unit: Unit = "paragraph",
        evidence: bool = False,
        min_confidence: float | None = None,
    ) -> Iterator[ScoredDocument]:
        """Score documents one after the other, in order; short ones share batches.

        Yields what `score` returns for each document, with the same options, in bounded memory.
        """
        if min_confidence is not None and not 0 <= min_confidence <= 1:
            raise ValueError(f"min_confidence must be between 0 and 1, not {min_confidence}")
        if unit not in get_args(Unit):
            raise ValueError(f"unit must be one of {', '.join(get_args(Unit))}, not {unit!r}")
        return self._score_in_order(documents, _Options(unit, evidence, min_confidence))

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """The encoder's sentence embeddings, (n, width); TypeError for a bundle without one."""
        from framing.model.encoder import Encoder

        if not isinstance(self._engine, Encoder):
            raise TypeError(f"bundle {self.name} has no encoder, so no embeddings")
        return self._engine.embed([normalize(text).text for text in texts])

    def _calibrate(self, logits: NDArray[np.float32]) -> NDArray[np.float64]:
        return np.round(self.decisions.calibrate(logits), DIGITS)

    def _score_in_order(
        self, documents: Iterable[Document | str], options: _Options
    ) -> Iterator[ScoredDocument]:
        waiting: list[_Reading] = []
        gathered = 0
        for document in documents:
            waiting.append(_Reading.of(document, options.unit))
            gathered += max(1, len(waiting[-1].passages))
            if gathered >= PASSAGES_AT_A_TIME:
                yield from self._score_together(waiting, options)
                waiting, gathered = [], 0
        yield from self._score_together(waiting, options)

    def _score_together(
        self, readings: Sequence[_Reading], options: _Options
    ) -> Iterator[ScoredDocument]:
        clean = [c.text for reading in readings for c in reading.clean]
        logits, stages = self._staged(clean)
        rows = [
            tuple(map(Prediction, self.labels, p, d))
            for p, d in self._decide(self._calibrate(logits), options.min_confidence)
        ]
        spans = self._explain(clean, logits, rows) if options.evidence else None
        at = 0
        for reading in readings:
            here = slice(at, at := at + len(reading.passages))
            passages = reading.scored(
                rows[here],
                spans[here] if spans is not None else None,
                stages[here] if stages is not None else None,
            )
            yield ScoredDocument(
                document=reading.document,
                passages=passages,
                profile=_profile(passages, self.codebook),
                read_share=reading.share,
                warnings=reading.warnings(self.language),
                provenance=Provenance.of(self, asdict(options)),
            )

    def _staged(self, clean: Sequence[str]) -> tuple[NDArray[np.float32], list[int] | None]:
        """Logits, and with a first stage which stage each passage's are from."""
        from framing.model.first_stage import Cascade

        if not isinstance(self._engine, Cascade):
            return self._engine.logits(clean), None
        logits, stages = self._engine.staged(clean)
        return logits, stages.tolist()

    def _decide(
        self, probabilities: NDArray[np.float64], min_confidence: float | None
    ) -> Iterator[tuple[list[float], list[Decision]]]:
        """For each passage its probabilities and decisions, in label order."""
        yes = self.decisions.yes(probabilities)
        unsure = self.decisions.unsure(probabilities)
        if min_confidence is not None:
            unsure |= np.where(yes, probabilities, 1 - probabilities) < min_confidence
        answers = np.where(unsure, Decision.UNSURE, np.where(yes, Decision.YES, Decision.NO))
        for p, answer in zip(probabilities.tolist(), answers.tolist(), strict=True):
            yield p, [Decision(a) for a in answer]

    def _explain(
        self,
        clean: Sequence[str],
        logits: NDArray[np.float32],
        rows: Sequence[Sequence[Prediction]],
    ) -> list[dict[str, tuple[Span, ...]]]:
        """Evidence, in offsets of the clean texts, for every label decided yes or unsure."""
        targets = [
            [j for j, prediction in enumerate(row) if prediction.decision is not Decision.NO]
            for row in rows
        ]
        found = find_evidence(clean, logits, targets, self._engine.logits, self._calibrate)
        return [{self.labels[j]: spans for j, spans in each.items()} for each in found]


@dataclass(frozen=True, slots=True)
class _Options:
    unit: Unit
    evidence: bool
    min_confidence: float | None


@dataclass(frozen=True, slots=True)
class _Reading:
    """A document cut into passages, each with its clean text for the model."""

    document: Document
    passages: tuple[Passage, ...]
    clean: tuple[Normalized, ...]

    @classmethod
    def of(cls, document: Document | str, unit: Unit) -> _Reading:
        if isinstance(document, str):
            document = Document(id="text", text=document)
        passages = tuple(segment(document, unit))
        clean = tuple(normalize(document.text[p.start : p.end]) for p in passages)
        return cls(titled(document, passages), passages, clean)

    @property
    def share(self) -> float:
        """The share of the document's non-space characters that stand in a passage."""
        text = self.document.text
        read = sum(_characters(text[p.start : p.end]) for p in self.passages)
        return round(read / max(1, _characters(text)), DIGITS)

    def warnings(self, model_language: str) -> tuple[str, ...]:
        """The document's own warnings and what the model has to add."""
        added = []
        language = self.document.language
        if language not in (None, "und", model_language):
            added.append(f"language is {language}, the model reads {model_language}")
        if touched := sum(c.touched for c in self.clean):
            characters = "character was" if touched == 1 else "characters were"
            added.append(f"{touched} invisible or look-alike {characters} normalised")
        if not self.passages:
            added.append("holds no passage to score")
        return self.document.warnings + tuple(added)

    def scored(
        self,
        rows: Sequence[tuple[Prediction, ...]],
        spans: Sequence[Mapping[str, tuple[Span, ...]]] | None,
        stages: Sequence[int] | None,
    ) -> tuple[ScoredPassage, ...]:
        """The passages with their predictions, and evidence in offsets of the document."""
        return tuple(
            ScoredPassage(
                start=passage.start,
                end=passage.end,
                kind=passage.kind,
                text=self.document.text[passage.start : passage.end],
                predictions=rows[i],
                evidence=None if spans is None else self._placed(i, spans[i]),
                stage=None if stages is None else stages[i],
            )
            for i, passage in enumerate(self.passages)
        )

    def _placed(self, i: int, spans: Mapping[str, tuple[Span, ...]]) -> dict[str, tuple[Span, ...]]:
        begin, clean = self.passages[i].start, self.clean[i]

        def place(span: Span) -> Span:
            start, end = clean.to_original(span.start, span.end)
            return Span(begin + start, begin + end, span.effect)

        return {label: tuple(map(place, each)) for label, each in spans.items()}


def _characters(text: str) -> int:
    return sum(map(len, text.split()))


def _profile(passages: Sequence[ScoredPassage], codebook: Codebook) -> Profile:
    """Shares over the story: what is decided to be set aside is counted beside it."""
    aside = codebook.set_aside
    story = [p for p in passages if aside not in p.labels]
    words = sum(p.words for p in story)

    def share(label: str) -> Share:
        held = [p for p in story if label in p.labels]
        return Share(
            passages=_ratio(len(held), len(story)),
            words=_ratio(sum(p.words for p in held), words),
            unsure=_ratio(sum(label in p.unsure for p in story), len(story)),
        )

    return Profile(
        passages=len(story),
        words=words,
        set_aside_passages=len(passages) - len(story),
        set_aside_words=sum(p.words for p in passages) - words,
        labels={label: share(label) for label in codebook.names if label != aside},
    )


def _ratio(part: int, whole: int) -> float:
    return round(part / whole, DIGITS) if whole else 0.0


def _behind_first_stage(bundle: Bundle, engine: Engine) -> Engine:
    from framing.model.encoder import Encoder
    from framing.model.first_stage import Cascade, open_first_stage

    first = open_first_stage(bundle)
    assert isinstance(engine, Encoder)  # no other kind holds a first stage
    return Cascade(first, engine, bundle.decisions)


def _engine(bundle: Bundle, threads: int | None) -> Engine:
    if bundle.kind == "encoder":
        from framing.model.encoder import Encoder

        assert bundle.max_tokens is not None  # the manifest of an encoder has it
        encoder = Encoder(
            bundle.files[MODEL],
            bundle.files[TOKENIZER],
            max_tokens=bundle.max_tokens,
            threads=threads,
            origin=bundle.path,
        )
        made, file = encoder.labels, MODEL
        engine: Engine = encoder
    else:
        from framing.model.baseline import Tfidf

        try:
            baseline = Tfidf.load(bundle.files)
        except Exception as error:  # whatever a parser makes of hostile bytes
            raise BundleError(bundle.path, ARRAYS, f"is refused ({error})") from None
        made, file = baseline.coef.shape[1], ARRAYS
        engine = baseline
    if made != len(bundle.labels):
        why = f"gives {made} labels, the manifest lists {len(bundle.labels)}"
        raise BundleError(bundle.path, file, why)
    return engine
