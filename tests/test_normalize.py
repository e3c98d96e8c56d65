import unicodedata
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framing.text.normalize import normalize

TRICKY = st.text(
    st.sampled_from("aeoAESK .é\u0301\u0323\u0344ﬁ\u200b\u200c\u200d\u00ad\ufe0fеоАЕжÅΩ\u0308αﬃ")
    | st.sampled_from("\ud800𝐬ｓ\u3000\u00a0\u2028\x85\x93\x9d\x00\f؁م\u064bक्ᄒ\u1161\u11ab한")
    | st.characters(),
    max_size=40,
)
INVISIBLE = st.sampled_from(
    "\u200b\u00ad\u2060\ufeff\u200e\u202a\u2067\ufe0f\u034f\U000e0041\u200d"
)
LATIN = st.text("abc XYZ é“”—'.,1", min_size=1, max_size=30)


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("sho\u200bck\u00ading", "shocking"),
        ("𝐬𝐡𝐨𝐜𝐤 𝒽ℯ𝓁𝓁ℴ ＳＨＯＣＫ！", "shock hello SHOCK!"),
        ("cafe\u0301", "café"),
        ("ﬁnancial oﬃce", "financial office"),
        ("a\u00a0b\u3000c\u2009d", "a b c d"),
        ("one\u2028two\fthree", "one\ntwo\nthree"),
        ("don\x92t say \x93no\x94\x9d", "don’t say “no”"),
        ("a\ud800b", "a\ufffdb"),
        ("\ufeff❤\ufe0f\u202egnp\u202c", "❤gnp"),
    ],
)
def test_what_looks_the_same_becomes_the_same(text, clean):
    assert normalize(text).text == clean


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("Тrump and Рutin", "Trump and Putin"),  # a Cyrillic Т and Р
        ("СOVID-19 in Ηelsinki", "COVID-19 in Helsinki"),  # and a Greek Η
        ("hе\u0301llo", "héllo"),  # the folded е meets its accent
    ],
)
def test_look_alikes_in_a_mixed_word_are_latin(text, clean):
    assert normalize(text).text == clean


@pytest.mark.parametrize(
    "text",
    [
        "Москва сказала нет",
        "TNFβ and αβγ at 5 μm",  # nothing Latin looks like β: the word stays Greek and Latin
        "iPhone-ы",
        "“Curly” ‘quotes’ — and «guillemets» … STAY as they are",
        "می\u200cخواهم",  # a joiner that is spelling
        "क्\u200dष",
        "naïve Zürich Łódź",
        "tabs\tand\r\nnew lines\n",
    ],
)
def test_what_is_right_is_left_alone(text):
    normal = normalize(text)
    assert (normal.text, normal.touched) == (text, 0)
    assert normal.to_original(2, 5) == (2, 5)


def test_touched_counts_original_characters_once():
    assert normalize("e\u200b\u0301 plain").touched == 3
    assert normalize("𝐬𝐡ock").touched == 2
    assert normalize("plain\x00").touched == 1


def test_spans_lead_back_to_whole_original_characters():
    text = "\ufeffﬁ\u200bne cafe\u0301\u00ad!"
    normal = normalize(text)
    assert normal.text == "fine café!"
    assert normal.to_original(0, 1) == (0, 2)  # half of the ligature is all of it
    assert normal.to_original(2, 3) == (3, 4)
    start, end = normal.to_original(5, 9)
    assert text[start:end] == "cafe\u0301\u00ad"
    assert normalize("\u200b\u200b").to_original(0, 0) == (0, 2)


def test_piles_of_accents_are_cut_and_take_no_time():
    assert len(normalize("a" + "\u0301\u0316" * 200_000).text) < 12


@given(TRICKY)
@settings(max_examples=300, deadline=None)
def test_normalizing_twice_changes_nothing_more(text):
    clean = normalize(text).text
    assert normalize(clean).text == clean
    assert normalize(clean).touched == 0
    assert unicodedata.is_normalized("NFC", clean)


@given(TRICKY)
@settings(max_examples=300, deadline=None)
def test_the_map_is_monotone_and_covers_everything(text):
    normal = normalize(text)
    size = len(normal.text)
    assert normal.to_original(0, size) == (0, len(text))
    spans = [normal.to_original(i, i + 1) for i in range(size)]
    for (start, end), (following, last) in pairwise(spans):
        assert start <= following <= end <= last  # neighbours touch, or share one character
    for i in range(size):
        start, end = normal.to_original(i, size)
        assert (start, end) == (spans[i][0], len(text))
    assert all(0 <= start < end <= len(text) for start, end in spans)


@given(TRICKY)
@settings(max_examples=200, deadline=None)
def test_an_untouched_character_maps_to_itself(text):
    normal = normalize(text)
    same = sum(text[slice(*normal.to_original(i, i + 1))] == c for i, c in enumerate(normal.text))
    assert same >= len(normal.text) - 3 * normal.touched  # a ligature is at most three letters
    assert normal.touched <= len(text)


@given(LATIN, st.lists(st.tuples(st.integers(0, 30), INVISIBLE), max_size=8))
@settings(max_examples=200, deadline=None)
def test_injected_invisibles_change_nothing(text, injections):
    dirty = text
    for position, character in injections:
        dirty = dirty[:position] + character + dirty[position:]
    normal = normalize(dirty)
    assert normal.text == normalize(text).text
    assert normal.touched == len(injections)
    assert normalize(dirty[slice(*normal.to_original(0, 1))]).text == normal.text[:1]
