"""A model of keywords, for testing what stands on a model without one."""

import re
import sys
from hashlib import sha256

from framing.codebook.codebook import Codebook
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
from framing.text.document import Document, Kind

CODEBOOK = Codebook.load("core")
WORDS = {
    "official_source": "minister|ministry",
    "analyst_quote": "hydrologist",
    "sensationalism": "SHOCK",
    "speculation": "may be",
    "factual_report": r"\d\d",
    "boilerplate": "©|Sign up",
}
UNSURE_WORDS = {"commentary": "fault"}
PROVENANCE = Provenance(
    "0.1.0", "stub", "3f2a91c0" * 8, "core", CODEBOOK.fingerprint, {"unit": "paragraph"}
)


class Panic(BaseException):
    """What a crash in a native library looks like."""


class StubModel:
    name = "stub"
    fingerprint = "3f2a91c0" * 8
    language = "en"
    labels = CODEBOOK.names
    codebook = CODEBOOK

    def score_many(self, documents, **options):
        for document in documents:
            yield self.score(document, **options)

    def score(self, document, *, unit="paragraph", evidence=False, min_confidence=None):
        if isinstance(document, str):
            document = Document("text", document)
        if "CRASH" in document.text:
            raise Panic("the tokenizer panicked")
        if "NO MEMORY" in document.text:
            raise MemoryError
        if "INTERRUPT" in document.text:
            raise KeyboardInterrupt
        if "FULL" in document.text:
            raise OSError(28, "No space left on device")
        passages = tuple(
            _passage(document.text, match, i == 0, evidence)
            for i, match in enumerate(re.finditer(r"[^\n]+", document.text))
        )
        return ScoredDocument(document, passages, _profile(passages), 1.0, document.warnings,
                              PROVENANCE)  # fmt: skip


def _passage(text, match, first, evidence):
    passage = match[0]
    predictions, spans = [], {}
    for label in CODEBOOK.names:
        found = re.search(WORDS.get(label, "(?!)"), passage)
        doubt = re.search(UNSURE_WORDS.get(label, "(?!)"), passage)
        noise = sha256(f"{label} {passage}".encode()).digest()[0] / 2560
        decision = Decision.YES if found else Decision.UNSURE if doubt else Decision.NO
        base = {Decision.YES: 0.9, Decision.UNSURE: 0.45, Decision.NO: 0}[decision]
        predictions.append(Prediction(label, round(base + noise, 6), decision))
        if found:
            spans[label] = (Span(match.start() + found.start(), match.start() + found.end(), 0.41),)
    kind = (
        Kind.HEADLINE if first else Kind.LIST_ITEM if passage.startswith("- ") else Kind.PARAGRAPH
    )
    return ScoredPassage(
        match.start(), match.end(), kind, passage, tuple(predictions), spans if evidence else None
    )


def _profile(passages):
    story = [p for p in passages if "boilerplate" not in p.labels]
    words = sum(p.words for p in story)
    shares = {}
    for label in CODEBOOK.names[:-1]:
        held = [p for p in story if label in p.labels]
        shares[label] = Share(
            len(held) / max(1, len(story)),
            sum(p.words for p in held) / max(1, words),
            sum(label in p.unsure for p in story) / max(1, len(story)),
        )
    return Profile(
        len(story),
        words,
        len(passages) - len(story),
        sum(p.words for p in passages) - words,
        shares,
    )


def main():
    """The command line with the stub in place of the shipped bundle."""
    import framing.cli
    import framing.model.classifier

    framing.model.classifier.load = lambda name="core-en", **_: StubModel()
    framing.cli.main()


if __name__ == "__main__":
    sys.exit(main())
