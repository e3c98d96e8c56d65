"""Floors that the shipped model must not fall under, and a card that says what is measured."""

import json
from pathlib import Path

import numpy as np
import pytest

import framing
from framing.codebook.coded import read_coded
from framing.model.bundle import find_bundle
from framing.show.evaluation import evaluation_markdown
from framing.study.evaluate import evaluate

CORE_TEST = Path(__file__).parents[2] / "shared" / "data" / "core" / "test.parquet"

needs_core = pytest.mark.skipif(
    not CORE_TEST.is_file(), reason="needs shared data: core/test.parquet beside the checkout"
)


@pytest.fixture(scope="module")
def evaluations():
    models = [framing.load("core-en"), framing.load("core-en-tfidf")]
    coded = read_coded(CORE_TEST, models[0].codebook)
    return [
        evaluate(m, coded, name=m.name, examples_name=CORE_TEST.name, by="drawn") for m in models
    ]


@needs_core
def test_the_model_is_as_good_as_we_say(evaluations):
    # Floors of what is measured. No label under .50 is the aim: met where both coders say yes,
    # not by sensationalism where one of two does (29 passages: .46, then .43 in two trainings).
    model, baseline = evaluations
    assert model.macro_f1.value >= 0.71
    assert model.mean_average_precision.value >= 0.79
    assert model.overall.rules["agreed"].f1.value >= 0.73
    for label, figures in model.overall.report.labels.items():
        floor = 0.42 if label == "sensationalism" else 0.55
        assert figures.f1.value >= floor, label
    assert model.macro_f1.low > baseline.macro_f1.value


@needs_core
def test_the_card_says_what_is_measured(evaluations):
    folder = find_bundle("core-en")
    recorded = json.loads((folder / "metrics.json").read_text())
    assert recorded["table"] == evaluation_markdown(evaluations)
    assert recorded["table"] in (folder / "README.md").read_text()


def test_the_card_names_data_licences_and_coders():
    card = (find_bundle("core-en") / "README.md").read_text()
    for words in ("Apache-2.0", "CC0", "language models", "Not for", "parallel corpus"):
        assert words in card


def test_shipped_bundles_are_small():
    folders = [find_bundle(name) for name in ("core-en", "core-en-tfidf")]
    size = sum(p.stat().st_size for f in folders for p in f.iterdir())
    assert size < 30e6


def test_a_label_does_not_flip_when_one_country_becomes_another():
    """The whole audit comes with its own command; this holds the line until then."""
    from framing.codebook.parallel import fill, tellings

    model = framing.load("core-en")
    chosen = [t for t in tellings() if "{A" in t.text][::4]

    def filled(seed):
        return [fill(t, np.random.default_rng([seed, i])) for i, t in enumerate(chosen)]

    first, second = model.predict_proba(filled(1)), model.predict_proba(filled(2))
    cut = np.array([model.thresholds[label] for label in model.labels])
    flips = (first >= cut) != (second >= cut)
    assert len(chosen) > 100
    assert flips.mean() <= 0.015
    assert np.abs(first - second).mean() <= 0.03
