from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
import tiny

import framing
from framing.model.classifier import PASSAGES_AT_A_TIME, Model, load
from framing.model.scored import Decision, ScoredDocument
from framing.text.document import Document

STORY = """Panic in the city

A bomb in the city, said the city.

The river and a calm of peace.

Fear of the bomb; fear and fear and fear of a river.

Subscribe and subscribe.
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    folder = tmp_path_factory.mktemp("bundles") / "tiny"
    tiny.make_bundle(folder)
    return load(folder)


# ---- the public face


def test_importing_framing_is_light() -> None:
    code = (
        "import sys, framing; framing.Document, framing.__version__; "
        "heavy = 'numpy onnxruntime tokenizers sklearn scipy pyarrow torch typer trafilatura'; "
        "print([m for m in heavy.split() if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.strip() == "[]", result.stderr


def test_scoring_needs_no_scikit_learn(tmp_path: Path) -> None:
    tiny.make_bundle(tmp_path / "tiny")
    code = (
        f"import sys, framing; framing.load({str(tmp_path / 'tiny')!r}).score('A bomb.'); "
        "print([m for m in ('sklearn', 'scipy', 'torch', 'pyarrow') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.strip() == "[]", result.stderr


def test_the_version_is_the_projects() -> None:
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())
    assert framing.__version__ == project["project"]["version"]


def test_public_names_resolve_and_others_do_not() -> None:
    assert framing.load is load
    assert framing.Document is Document
    assert set(framing.__all__) <= set(dir(framing))
    with pytest.raises(AttributeError, match="'framing' has no attribute 'lode'"):
        _ = framing.lode


# ---- a loaded model


def test_a_model_says_what_it_is(model: Model) -> None:
    assert model.name == "tiny"
    assert model.labels == tiny.LABELS == model.codebook.names
    assert model.thresholds == {"alarm": 0.5, "hope": 0.5, "advert": 0.5}
    assert len(model.fingerprint) == 64


def test_probabilities_are_calibrated_logits_of_clean_text(model: Model) -> None:
    got = model.predict_proba(["a bomb", "a b\u00ado\u200bmb", "ａ ｂｏｍｂ", ""])
    assert got.dtype == np.float64
    sigmoid = 1 / (1 + np.exp(-np.array([2.0, -3.0, -3.0])))
    np.testing.assert_allclose(got[:3], [sigmoid] * 3, atol=1e-6)
    assert model.predict_proba([]).shape == (0, 3)


def test_embeddings_are_the_encoders(model: Model) -> None:
    np.testing.assert_array_equal(model.embed(["a b\u00adomb"]), [[4.0, -1.0, 0.0]])


# ---- scoring


def test_every_passage_is_labelled_in_its_own_place(model: Model) -> None:
    scored = model.score(STORY)
    assert all(STORY[p.start : p.end] == p.text for p in scored.passages)
    assert [p.labels for p in scored.passages] == [
        (),
        ("alarm",),
        ("hope",),
        ("alarm",),
        ("advert",),
    ]
    assert scored.passages[0].unsure == ("alarm",)  # 3 - 2 = 1: .73 is in the band from .5 to .8
    for passage, row in zip(
        scored.passages, model.predict_proba([p.text for p in scored.passages]), strict=True
    ):
        assert list(passage.probabilities) == list(model.labels)
        assert list(passage.probabilities.values()) == row.tolist()
        assert passage.evidence is None


def test_the_profile_is_of_the_story(model: Model) -> None:
    scored = model.score(STORY)
    profile = scored.profile
    assert (profile.passages, profile.set_aside_passages) == (4, 1)
    assert profile.set_aside_words == 3
    assert profile.words == sum(p.words for p in scored.passages[:4])
    assert set(profile.labels) == {"alarm", "hope"}  # what is set aside is no part of the story
    alarm = profile.labels["alarm"]
    assert (alarm.passages, alarm.unsure) == (0.5, 0.25)
    words = scored.passages[1].words + scored.passages[3].words
    assert alarm.words == pytest.approx(words / profile.words, abs=1e-6)


def test_all_boilerplate_leaves_an_empty_story(model: Model) -> None:
    profile = model.score("Subscribe and subscribe.").profile
    assert (profile.passages, profile.words, profile.set_aside_passages) == (0, 0, 1)
    assert profile.labels["alarm"].passages == 0


def test_provenance_tells_how_it_was_made(model: Model) -> None:
    made = model.score("A bomb.", unit="sentence", min_confidence=0.9).provenance
    assert made.framing == framing.__version__
    assert (made.bundle, made.bundle_fingerprint) == ("tiny", model.fingerprint)
    assert (made.codebook, made.codebook_fingerprint) == ("tiny", model.codebook.fingerprint)
    assert made.options == {"unit": "sentence", "evidence": False, "min_confidence": 0.9}


def test_sentences_are_passages_where_asked(model: Model) -> None:
    text = "The bomb fell in the city. The river was calm and at peace."
    assert len(model.score(text).passages) == 1
    first, second = model.score(text, unit="sentence").passages
    assert (first.labels, second.labels) == (("alarm",), ("hope",))


def test_min_confidence_only_ever_adds_unsure(model: Model) -> None:
    text = "A bomb.\n\nA panic.\n\nCalm and peace.\n\nThe river."
    last: set[tuple[int, str]] = set()
    for least in (None, 0.0, 0.5, 0.7, 0.9, 0.99, 1.0):
        scored = model.score(text, min_confidence=least)
        unsure = {(i, label) for i, p in enumerate(scored.passages) for label in p.unsure}
        assert last <= unsure
        for passage in scored.passages:
            for p in passage.predictions:
                confidence = max(p.probability, 1 - p.probability)
                if p.decision is not Decision.UNSURE:
                    assert confidence >= (least or 0)
        last = unsure
    assert len(last) == 12


@pytest.mark.parametrize("least", [-0.1, 1.1, float("nan")])
def test_min_confidence_is_a_probability(model: Model, least: float) -> None:
    with pytest.raises(ValueError, match="min_confidence must be between 0 and 1"):
        model.score("A bomb.", min_confidence=least)


def test_unknown_units_are_named(model: Model) -> None:
    with pytest.raises(ValueError, match="unit must be one of paragraph, sentence, not 'word'"):
        model.score("A bomb.", unit="word")  # type: ignore[arg-type]


# ---- what is said about the reading


def test_the_share_that_was_read_counts_characters(model: Model) -> None:
    scored = model.score(STORY)
    read = sum(len("".join(p.text.split())) for p in scored.passages)
    assert scored.read_share == pytest.approx(read / len("".join(STORY.split())), abs=1e-6)
    assert scored.read_share == 1.0


@pytest.mark.parametrize("text", ["", " \n "])
def test_nothing_to_read_is_said(model: Model, text: str) -> None:
    scored = model.score(text)
    assert (scored.passages, scored.read_share) == ((), 0.0)
    assert scored.warnings == ("holds no passage to score",)


def test_warnings_tell_what_was_touched_and_other_languages(model: Model) -> None:
    document = Document(
        id="a", text="A b\u00ado\u200bmb.", language="fr", warnings=("decoded as cp1252",)
    )
    assert model.score(document).warnings == (
        "decoded as cp1252",
        "language is fr, the model reads en",
        "2 invisible or look-alike characters were normalised",
    )
    assert model.score("A bomb.").warnings == ()
    assert "1 invisible or look-alike character was" in model.score("A b\u00adomb.").warnings[0]


# ---- evidence


def test_evidence_points_into_the_original(model: Model) -> None:
    text = "The river.\n\nA b\u00ado\u200bmb in the city, said the \u202bcity.\n\nPanic in the city"
    scored = model.score(text, evidence=True)
    assert scored.passages[0].evidence == {}
    (span,) = (scored.passages[1].evidence or {})["alarm"]
    assert text[span.start : span.end] == "b\u00ado\u200bmb"
    assert scored.passages[1].to_dict()["evidence"]["alarm"][0]["text"] == "b\u00ado\u200bmb"
    assert list(scored.passages[2].evidence or {}) == ["alarm"]  # unsure labels are explained too


# ---- many documents


def test_many_documents_come_back_in_order_and_unchanged(model: Model) -> None:
    texts = ["\n\n".join(["A bomb in the city.", "Calm of peace."] * (i % 7)) for i in range(300)]
    documents = [Document(id=str(i), text=text) for i, text in enumerate(texts)]
    scored = list(model.score_many(iter(documents)))
    assert [s.document for s in scored] == documents
    for i in (0, 1, 6, 299):
        assert scored[i] == model.score(documents[i])


def test_many_documents_are_read_as_they_are_needed(model: Model) -> None:
    taken = 0

    def endless() -> object:
        nonlocal taken
        while True:
            taken += 1
            yield "A bomb.\n\nThe river." if taken % 2 else ""

    stream = model.score_many(endless())  # type: ignore[arg-type]
    assert isinstance(next(stream), ScoredDocument)
    assert taken <= PASSAGES_AT_A_TIME
