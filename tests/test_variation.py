"""What training varies: names change throughout, wording and labels stay."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framing.codebook.codebook import Codebook
from framing.codebook.parallel import fill, fillings, held_out, tellings
from framing.train import variation
from framing.train.examples import training_examples
from framing.train.variation import Contrast, vary

LABELS = Codebook.load("core").names
PLAIN = "The government said on Monday that the plan would cost 40 million."
plain_row = np.array([float(name == "factual_report") for name in LABELS], np.float32)
seeds = st.integers(0, 2**32 - 1).map(np.random.default_rng)


def drawn(change, text, times=40):
    rng = np.random.default_rng(0)
    return {change(text, rng) for _ in range(times)}


def test_a_country_becomes_another_throughout():
    text = "French troops left Paris on Monday; France says the French army stays."
    names = {(c.name, c.adj, c.capital) for c in fillings().countries}
    for told in drawn(variation._other_countries, text):
        assert told in {
            f"{adj} troops left {capital} on Monday; {name} says the {adj} army stays."
            for name, adj, capital in names
        }
    assert len(drawn(variation._other_countries, text)) > 10


def test_articles_follow_the_country():
    for told in drawn(variation._other_countries, "An Iranian ship met a ship of the U.S. navy."):
        assert told.split()[0] == ("An" if told.split()[1][0] in "AEIO" else "A")


def test_two_countries_never_become_one():
    for told in drawn(variation._other_countries, "Japan and Brazil and Japan"):
        one, other, again = told.split(" and ")
        assert one == again != other


def test_genders_are_turned_and_turned_back():
    text = "He said that Mr Brandt told his spokesman to call him."
    (turned,) = drawn(variation._other_genders, text)
    assert turned == "She said that Ms Brandt told her spokeswoman to call her."
    assert drawn(variation._other_genders, turned) == {text}


def test_a_leader_becomes_another_with_both_names():
    for told in drawn(variation._other_leaders, "Donald Trump spoke. Trump left."):
        surname = told.split()[-2]
        assert told.endswith(f" {surname} spoke. {surname} left.")
        assert surname != "Trump"


def test_a_faith_keeps_its_words_together():
    for told in drawn(variation._other_faiths, "Muslims left the mosque with the imam."):
        believers, house, clergy = told.split()[0], told.split()[3], told.split()[-1][:-1]
        faith = next(f for f in variation._data()["faiths"] if believers in f)
        assert {believers, house, clergy} <= set(faith)


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(tellings()), seeds)
def test_a_varied_telling_is_a_passage_of_like_length(telling, rng):
    text = fill(telling, rng)
    varied = vary(text, rng)
    assert "{" not in varied
    assert 0.5 < (len(varied.split()) + 5) / (len(text.split()) + 5) < 2


def test_contrast_changes_the_labels_it_changes_the_wording_for():
    contrast, rng = Contrast(tuple(LABELS)), np.random.default_rng(0)
    seen = set()
    for _ in range(600):
        text, row = contrast(PLAIN, plain_row, rng)
        told = dict(zip(LABELS, row, strict=True))
        if text == PLAIN:
            np.testing.assert_array_equal(row, plain_row)
        elif told["sensationalism"] == 1:
            assert told["factual_report"] == 0
            seen.add("startled")
        else:
            assert told["loaded_language"] == 1
            assert np.isnan(told["factual_report"])
            seen.add("loaded")
    assert seen == {"startled", "loaded"}


@pytest.mark.parametrize("label", ["loaded_language", "sensationalism", "commentary"])
def test_only_plain_passages_are_put_in_contrast(label):
    row = plain_row.copy()
    row[LABELS.index(label)] = 1
    contrast = Contrast(tuple(LABELS))
    assert all(drawn(lambda t, rng: contrast(t, row, rng)[0], PLAIN, 200) == {PLAIN} for _ in [0])


def test_nothing_is_put_into_quotations():
    text = "“The government said it,” he told us."
    assert variation._loaded(text, np.random.default_rng(0)) is None


def test_another_codebook_gets_no_contrast():
    contrast = Contrast(("rain", "sun"))
    row = np.array([1, 0], np.float32)
    assert drawn(lambda t, rng: contrast(t, row, rng)[0], PLAIN, 200) == {PLAIN}


def test_training_and_audit_share_no_wording():
    import yaml

    from framing.study.probes import _data

    audit = {w.lower() for words in _data()["loaded"].values() for w in words}
    audit |= {w.lower() for words in _data()["startling"].values() for w in words}
    data = yaml.safe_load(
        (variation.resources.files("framing.train") / "variation.yaml").read_text()
    )
    ours = {w.lower() for words in data["loaded"].values() for w in words}
    ours |= {w.lower() for words in data["startling"].values() for w in words}
    assert not audit & ours
    assert not set(_data()["outlets"]) & {*data["outlets"], *fillings().outlets}


def test_events_kept_for_the_audit_are_not_trained_on():
    from framing.codebook.coded import Coded

    none = Coded(tuple(LABELS), (), (), np.empty((0, len(LABELS))), (), {})
    trained = {t.event for t in training_examples(none, tellings()).tellings}
    kept = {t.event for t in tellings()} - trained
    assert kept == {t.event for t in tellings() if held_out(t.event)}
    assert len(kept) >= 10
