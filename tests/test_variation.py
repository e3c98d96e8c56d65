"""What training varies: names change throughout, wording and labels stay."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framing.codebook.codebook import Codebook
from framing.codebook.parallel import fill, fillings, held_out, tellings
from framing.train import names, variation
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
    pool = {(n.name, n.adj, n.capital) for n in names.nations()}
    for told in drawn(names.other_countries, text):
        assert told in {
            f"{adj} troops left {capital} on Monday; {name} says the {adj} army stays."
            for name, adj, capital in pool
        }
    assert len(drawn(names.other_countries, text)) > 10


def test_articles_follow_the_country():
    for told in drawn(names.other_countries, "An Iranian ship met a ship of the U.S. navy."):
        assert told.split()[0] == (
            "An" if told.split()[1][0] in "AEIO" or told.split()[1] == "Uzbek" else "A"
        )


def test_two_countries_never_become_one():
    for told in drawn(names.other_countries, "Japan and Brazil and Japan"):
        one, other, again = told.split(" and ")
        assert one == again != other


def test_what_goes_with_a_country_goes_along():
    text = "The Kremlin said Russians in Moscow would vote. A U.S.-led force left the U.S. The end."
    for told in drawn(names.other_countries, text):
        found = re.fullmatch(
            r"The (.+) said (.+) in (.+) would vote\. (An? .+)-led force left (.+)\. The end\.",
            told,
        )
        seat, people, capital, led, name = found.groups()
        one = next(n for n in names.nations() if n.capital == capital)
        assert (seat, people) == (one.seat, one.people)
        assert led.split(" ", 1)[1] == name.removeprefix("the ")


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (names.other_countries, "New Mexico, Native Americans and George Washington"),
        (names.other_leaders, "In May a brown fox and a paul of rice met Johnson."),
        (names.other_outlets, "At dawn the sun rose over the Hill; Time is short, and Focus, too."),
        (names.other_parties, "The Republican Guard of the Democratic Republic; Democratic life."),
        (variation._other_faiths, "The Islamic State and Christian Lindner; a temple of learning."),
    ],
)
def test_words_of_other_meanings_stay(change, text):
    assert drawn(change, text) == {text}


def test_a_leader_keeps_gender_and_follows_the_title():
    women = {leader.surname for leader in names.leaders() if leader.woman}
    for told in drawn(
        names.other_leaders, "Prime Minister May met Gordon Brown in May. Brown left."
    ):
        new, month = re.fullmatch(
            r"Prime Minister (.+) met .+ in (\w+)\. Brown left\.", told
        ).groups()
        assert month == "May"
        assert new in women | set(fillings().surnames)


def test_a_party_keeps_its_forms_together():
    text = "Republicans voted. The Republican Party said a Republican senator left the GOP."
    for told in drawn(names.other_parties, text):
        people, party, adj, again = re.fullmatch(
            r"(.+) voted\. (.+) said an? (.+) senator left (.+)\.", told
        ).groups()
        assert any(
            (people, party.lower(), adj, again) == (p.people, p.name.lower(), p.adj, p.name)
            for p in names.parties()
        )


def test_an_outlet_becomes_another_throughout():
    text = "The Washington Post reported it. He told the Washington Post, a Bloomberg writer said."
    for told in drawn(names.other_outlets, text):
        first, again, article, new = re.fullmatch(
            r"(.+) reported it\. He told (.+), (an?) (.+) writer said\.", told
        ).groups()
        assert first[1:] == again[1:]
        assert not new.startswith("the ")
        assert article == "an" or new[0] not in "AEIO"


def test_the_audits_outlets_are_not_taken_out_in_part():
    from framing.study.probes import _data

    for name in _data()["outlets"]:
        text = (
            f"We told {name}. Then, {name} reported it, a {name.removeprefix('the ')} writer said."
        )
        assert drawn(names.other_outlets, text, 5) == {text}


def test_genders_are_turned_and_turned_back():
    text = "He said that Mr Brandt told his spokesman to call him."
    (turned,) = drawn(variation._other_genders, text)
    assert turned == "She said that Ms Brandt told her spokeswoman to call her."
    assert drawn(variation._other_genders, turned) == {text}


def test_a_leader_becomes_another_with_both_names():
    for told in drawn(names.other_leaders, "Donald Trump spoke. Trump left."):
        name, surname = re.fullmatch(r"(.+) spoke\. (.+) left\.", told).groups()
        assert surname in name
        assert name != "Donald Trump"


def test_a_leader_is_made_up_only_beside_an_office():
    known = {leader.surname for leader in names.leaders()}
    assert drawn(names.other_leaders, "Putin says no.", 300) <= {f"{s} says no." for s in known}
    with_office = drawn(names.other_leaders, "President Putin says no.", 300)
    assert not with_office <= {f"President {s} says no." for s in known}


def test_a_faith_keeps_its_words_together():
    for told in drawn(variation._other_faiths, "Muslims left the mosque with the imam."):
        believers, house, clergy = re.fullmatch(
            r"(.+) left the (.+) with the (.+)\.", told
        ).groups()
        faith = next(f for f in names.data()["faiths"] if believers in f)
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
    from framing.study.probes import _data

    audit = {w.lower() for words in _data()["loaded"].values() for w in words}
    audit |= {w.lower() for words in _data()["startling"].values() for w in words}
    data = names.data()
    ours = {w.lower() for words in data["loaded"].values() for w in words}
    ours |= {w.lower() for words in data["startling"].values() for w in words}
    assert not audit & ours
    outlets = " | ".join([*names.outlets(), *data["ambiguous"]])
    for name in _data()["outlets"]:
        assert not re.search(rf"\b{re.escape(name.removeprefix('the '))}\b", outlets)
        assert name not in fillings().outlets
    given = {name for side in data["given"] for name in side}
    assert not given & {name for pair in _data()["gender"]["names"] for name in pair}


def test_made_up_outlets_are_many_and_none_of_the_audits():
    from framing.study.probes import _data

    rng = np.random.default_rng(0)
    made_up = {names.outlet(rng) for _ in range(6000)}
    assert len(made_up) > 2000
    audit = {name.removeprefix("the ").lower() for name in _data()["outlets"]}
    assert not audit & {name.removeprefix("the ").lower() for name in made_up}


def test_events_kept_for_the_audit_are_not_trained_on():
    from framing.codebook.coded import Coded

    none = Coded(tuple(LABELS), (), (), np.empty((0, len(LABELS))), (), {})
    trained = {t.event for t in training_examples(none, tellings()).tellings}
    kept = {t.event for t in tellings()} - trained
    assert kept == {t.event for t in tellings() if held_out(t.event)}
    assert len(kept) >= 10
