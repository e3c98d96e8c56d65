from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import pytest
import tiny
from hypothesis import given, settings
from hypothesis import strategies as st

from framing.model.encoder import Encoder
from framing.model.evidence import _WORD, MAX_SPANS, WORD_BY_WORD, find_evidence, without
from framing.model.scored import Span

ENCODER = Encoder(
    tiny.onnx_model(), json.dumps(tiny.tokenizer_table()).encode(), max_tokens=256, threads=1
)
calibrate = tiny.decisions().calibrate
ALARM, HOPE, ADVERT = range(3)
FILLER = "the river and a city of the river and a city".split()
words = st.lists(
    st.sampled_from([*tiny.VOTES, *FILLER, "said,", "“the", "calm”", "!"]), max_size=60
)


def found(text: str, *labels: int) -> dict[int, tuple[Span, ...]]:
    (spans,) = find_evidence([text], ENCODER.logits([text]), [labels], ENCODER.logits, calibrate)
    return spans


def shown(text: str, label: int) -> list[str]:
    return [text[s.start : s.end] for s in found(text, label)[label]]


# ---- the right words


def test_the_word_that_votes_is_the_evidence() -> None:
    text = "The bomb in the city, and a river."
    (span,) = found(text, ALARM)[ALARM]
    assert text[span.start : span.end] == "bomb"
    before, after = calibrate(ENCODER.logits([text, without(text, span.start, span.end)]))[:, 0]
    assert span.effect == pytest.approx(before - after, abs=1e-6)


def test_each_label_has_its_own_words() -> None:
    text = "The bomb in the city, and calm of the river. The city of peace."
    assert shown(text, ALARM) == ["bomb"]
    assert shown(text, HOPE) == ["peace", "and calm of"]


def test_words_that_belong_together_come_as_a_phrase() -> None:
    text = "the river and a city of bomb panic bomb and a river of the city"
    assert shown(text, ALARM) == ["bomb panic bomb"]


def test_spans_come_strongest_first_and_weak_ones_not_at_all() -> None:
    far = " the river and a city of the river and a city "

    def words(text: str) -> list[str]:
        return [" ".join(w for w in span.split() if w in tiny.VOTES) for span in shown(text, ALARM)]

    assert words(f"fear{far}bomb{far}panic{far}") == ["bomb", "panic"]
    assert words(f"panic{far}bomb") == ["bomb", "panic"]
    assert words(f"fear{far}fear{far}fear") == ["fear"] * 3
    assert words(f"bomb bomb bomb{far}{far}fear") == ["bomb bomb bomb"]


def test_a_word_in_a_long_passage_is_found() -> None:
    far = "the river and a city of the river, and " * 12
    for text in (f"bomb {far}", f"{far} bomb {far}", f"{far} bomb"):
        assert shown(text, ALARM) == ["bomb"]


def test_punctuation_that_separates_is_not_part_of_a_span() -> None:
    assert shown("The city, said the bomb; and a river.", ALARM) == ["bomb"]
    assert shown("The river of “calm”. And a city.", HOPE) == ["“calm”"]
    assert shown('The river of "calm," said the city.', HOPE) == ['"calm']
    assert shown("The river of panic! And a city of the river.", ALARM) == ["panic!"]


def test_titles_and_abbreviations_are_parts_of_their_words() -> None:
    assert [m[0] for m in _WORD.finditer("The R.N.C.’s Mr. Hall, at 5.30.")] == [
        "The", "R.N.C.’s", "Mr", "Hall", "at", "5.30",
    ]  # fmt: skip
    assert shown("the river and a city. The city of Mr. Bomb and a river.", ALARM) == ["Bomb"]


@pytest.mark.parametrize("text", ["", " ", "...", "the", "!?"])
def test_where_nothing_lowers_the_label_there_is_no_evidence(text: str) -> None:
    assert found(text, ALARM) == {ALARM: ()}


def test_a_single_word_can_be_evidence() -> None:
    assert shown("Bomb", ALARM) == ["Bomb"]


# ---- what always holds


@given(texts=st.lists(words.map(" ".join), max_size=4), data=st.data())
@settings(max_examples=60, deadline=None)
def test_spans_are_measured_disjoint_and_sorted_out(texts: list[str], data: st.DataObject) -> None:
    targets = [data.draw(st.sets(st.integers(0, 2)).map(sorted)) for _ in texts]
    results = find_evidence(texts, ENCODER.logits(texts), targets, ENCODER.logits, calibrate)
    assert [list(r) for r in results] == targets
    for text, result in zip(texts, results, strict=True):
        for label, spans in result.items():
            assert len(spans) <= MAX_SPANS
            taken: set[int] = set()
            for span in spans:
                place = set(range(span.start, span.end))
                assert place
                assert not place & taken
                taken |= place
                rest = [text, without(text, span.start, span.end)]
                before, after = ENCODER.logits(rest)[:, label]
                assert after < before
                falls = calibrate(ENCODER.logits(rest))[:, label]
                assert span.effect == pytest.approx(falls[0] - falls[1], abs=1e-6)


@given(text=words.map(" ".join))
@settings(max_examples=60, deadline=None)
def test_the_top_span_beats_every_single_word_by_the_margin_it_promises(text: str) -> None:
    spans = found(text, ALARM)[ALARM]
    if not spans or len(text.split()) > WORD_BY_WORD:
        return
    whole = ENCODER.logits([text])[0, ALARM]
    top = whole - ENCODER.logits([without(text, spans[0].start, spans[0].end)])[0, ALARM]
    strongest = max(tiny.VOTES.get(word, (0.0,))[0] for word in text.split())
    assert top >= 0.8 * strongest


@given(texts=st.lists(words.map(" ".join), min_size=2, max_size=4))
@settings(max_examples=20, deadline=None)
def test_evidence_does_not_depend_on_the_other_passages(texts: list[str]) -> None:
    targets = [[ALARM, HOPE]] * len(texts)
    together = find_evidence(texts, ENCODER.logits(texts), targets, ENCODER.logits, calibrate)
    assert together == [found(text, ALARM, HOPE) for text in texts]


def test_the_cost_is_bounded_by_the_length() -> None:
    seen: list[int] = []

    def counting(texts: Sequence[str]) -> np.ndarray:
        seen.append(len(texts))
        return ENCODER.logits(texts)

    text = "the river, and a bomb of the calm city said the peace of panic. " * 9
    find_evidence([text], ENCODER.logits([text]), [[ALARM, HOPE]], counting, calibrate)
    assert len(seen) == 3  # pieces, words, pairs
    assert sum(seen) <= 0.6 * len(text.split())


def test_passages_without_labels_cost_nothing() -> None:
    seen: list[int] = []

    def counting(texts: Sequence[str]) -> np.ndarray:
        seen.append(len(texts))
        return ENCODER.logits(texts)

    whole = ENCODER.logits(["a bomb"])
    assert find_evidence(["a bomb"], whole, [[]], counting, calibrate) == [{}]
    assert seen == [0, 0, 0]
