"""The audit, put to models whose behaviour is known."""

import io
import json
import math
import re

import numpy as np
import orjson
import pytest
from rich.console import Console
from typer.testing import CliRunner

import framing
from framing.cli import app
from framing.codebook.codebook import Codebook
from framing.show.audit import audit_tables
from framing.study import probes
from framing.study.audit import audit
from framing.study.resample import Resamples
from framing.text.normalize import normalize

DATA = probes._data()
LOADED = sorted({word for words in DATA["loaded"].values() for word in words})
MARKERS = [marker for markers in DATA["startling"].values() for marker in markers]
OPINIONS = [
    max(re.split(r"\{[\w.]+\}", sentence), key=len)[:25]
    for sentences in DATA["opinions"]
    for sentence in sentences
]


def any_of(words):
    return "|".join(re.escape(word) for word in words if word)


RULES = {  # what a model that does everything right on the audit's own passages goes by
    "loaded_language": rf"\b(?:{any_of(LOADED)})\b",
    "sensationalism": any_of(MARKERS),
    "commentary": any_of(OPINIONS),
    "media_relay": "reported",
}


class Model:
    """Labels by regular expressions over the normalised text, quotations left out."""

    name = "toy"

    def __init__(self, labels=None, *, clean=True, quotes=False, **rules):
        self.labels = labels or Codebook.load("core").names
        self.thresholds = dict.fromkeys(self.labels, 0.5)
        self.rules = {
            label: re.compile(rule)
            for label, rule in {**(RULES if labels is None else {}), **rules}.items()
        }
        self.clean, self.quotes = clean, quotes
        self.seen = 0

    def predict_proba(self, texts):
        self.seen += len(texts)
        return np.array([self._row(text) for text in texts])

    def _row(self, text):
        text = normalize(text).text if self.clean else text
        text = text if self.quotes else re.sub("“[^”]*”", "“”", text)
        held = [label in self.rules and self.rules[label].search(text) for label in self.labels]
        return np.where(held, 0.9, 0.1)


def failed(model):
    return {part.name for part in audit(model).parts if not part.passed}


def test_a_model_that_reads_the_framing_passes():
    assert failed(Model()) == set()


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (Model(official_source="Russia|Pakistan|Kenya|France|Ottawa|Baku|Iran"), {"swap country"}),
        (Model(official_source="Velyakov|Harlan|Wen|Dorosh|Karaca|Tazi|Desta"), {"swap leader"}),
        (Model(official_source="Union|League"), {"swap party"}),
        (Model(official_source="Tribune|Herald|RT"), {"swap outlet", "publisher mask"}),
        (Model(official_source=r"\b(?:[Hh]er|[Ss]he)\b"), {"swap gender"}),
        (Model(official_source="mosque|imam"), {"swap religion"}),
        (Model(clean=False, official_source="[\u00ad\u200b]"), {"disguises"}),
        (Model(loaded_language="(?!)"), {"loaded put in", "loaded taken out"}),
        (Model(sensationalism="BREAKING"), {"startling put in"}),
        (Model(quotes=True), {"quotation"}),
        (Model(advocacy="per cent"), {"neutral facts"}),
        (Model(("alarm", "hope"), alarm="minister", hope="hospital|government"), {"typos"}),
    ],
    ids=lambda x: "+".join(sorted(x)) if isinstance(x, set) else "",
)
def test_each_fault_is_found_by_its_part(model, expected):
    assert expected <= failed(model)


def test_a_label_that_is_always_there_neither_comes_nor_goes():
    result = {part.name: part for part in audit(Model(loaded_language="")).parts}
    assert result["loaded put in"].requirements[0].estimate.value == 0
    assert result["loaded taken out"].requirements[0].estimate.value == 0
    assert result["neutral facts"].requirements[0].estimate.value == 0


def test_the_mask_spares_media_relay():
    relays = Model(media_relay="Outlet")
    mask = next(part for part in audit(relays).parts if part.name == "publisher mask")
    assert mask.figures["flips"]["media_relay"].value > 0.9
    assert mask.passed
    assert mask.misses == ()


def test_misses_are_passages_that_flipped():
    result = audit(Model(official_source="Russia"))
    part = next(part for part in result.parts if part.name == "swap country")
    assert part.misses
    for miss in part.misses:
        assert miss.label == "official_source"
        assert ("Russia" in miss.before) != ("Russia" in miss.after)
        assert {miss.p_before, miss.p_after} == {0.1, 0.9}


def test_flip_rates_are_what_they_say():
    result = audit(Model(official_source="Russia", analyst_quote="France"))
    cases = probes.swaps(0)["country"]
    part = result.parts[0]
    flips = {
        label: [bool(re.search(word, c.before)) != bool(re.search(word, c.after)) for c in cases]
        for label, word in (("official_source", "Russia"), ("analyst_quote", "France"))
    }
    rate = part.figures["flips"]
    for label, flipped in flips.items():
        found = rate[label]
        assert found.value == pytest.approx(np.mean(flipped))
        assert 0 <= found.low < found.value < found.high
        assert part.figures["shift"][label].value == pytest.approx(0.8 * np.mean(flipped))
    either = np.logical_or(*flips.values())
    assert rate["any label"].value == pytest.approx(np.mean(either))
    assert part.requirements[0].estimate.value == max(rate[label].value for label in flips)


def test_a_codebook_of_one_s_own_runs_what_applies():
    result = audit(Model(("alarm", "hope"), alarm="killed|war", hope="agree|medal"))
    names = {part.name for part in result.parts}
    assert {"swap country", "swap religion", "publisher mask", "disguises", "typos"} <= names
    assert set(result.left_out) == {
        "loaded put in", "loaded taken out", "startling put in", "startling taken out",
        "quotation", "neutral facts",
    }  # fmt: skip
    lost = next(part for part in result.parts if part.name == "typos").requirements[0].estimate
    assert 0 < lost.value < 1  # against its own decisions on the clean text
    assert "left out: quotation" in drawn(result)


def test_the_same_seed_gives_the_same_audit_and_another_seed_another():
    model = Model(official_source="Union")
    first = orjson.dumps(audit(model, seed=1).to_dict())
    assert first == orjson.dumps(audit(model, seed=1).to_dict())
    assert first != orjson.dumps(audit(model, seed=2).to_dict())


def test_each_passage_is_scored_once_and_progress_is_told():
    model, told = Model(), []
    audit(model, on_scored=lambda done, total: told.append((done, total)))
    assert told[-1] == (model.seen, model.seen)
    assert 4000 < model.seen < 8000


def drawn(result, width=80):
    out = io.StringIO()
    Console(file=out, width=width).print(audit_tables(result))
    return out.getvalue()


def test_tables_fit_80_columns_and_name_what_is_missed():
    text = drawn(audit(Model(official_source="Russia|her", loaded_language="(?!)"), name="toy"))
    assert all(len(line) <= 80 for line in text.splitlines())
    assert "…" not in text
    assert re.search(r"✗ swap country +600 flips ≤ 1.5 % +\d", text)
    assert re.search(r"✗ loaded taken out +0 goes ≥ 90 % +no such case", text)
    assert re.search(r"✓ disguises", text)
    assert re.search(r"- .*Russia.*\n", text) or re.search(r"\+ .*Russia.*\n", text)


@pytest.mark.parametrize(("model", "code"), [(Model(), 0), (Model(quotes=True), 1)])
def test_the_command_ends_with_1_where_a_limit_is_missed(model, code, monkeypatch):
    monkeypatch.setattr("framing.model.classifier.load", lambda name: model)
    result = CliRunner().invoke(app, ["audit", "toy", "--json", "--seed", "3"])
    assert result.exit_code == code
    told = json.loads(result.stdout)
    assert told["passed"] is (code == 0)
    assert told["seed"] == 3
    quotation = next(part for part in told["parts"] if part["name"] == "quotation")
    assert quotation["requirements"][0]["met"] is (code == 0)


def test_a_missing_bundle_is_told(tmp_path):
    result = CliRunner().invoke(app, ["audit", str(tmp_path / "none")])
    assert result.exit_code == 3
    assert len(result.stderr.strip().splitlines()) == 1


# The cases themselves


def test_there_are_enough_of_them():
    assert len(DATA["neutral"]) >= 60
    assert len(LOADED) >= 40
    assert len(MARKERS) >= 25
    assert len(DATA["opinions"]) >= 40
    assert len(DATA["attributions"]) >= 15
    assert len(DATA["facts"]) >= 60
    for part in ("neutral", "facts"):
        assert len(set(DATA[part])) == len(DATA[part])


def every_case():
    parts = [*probes.swaps(5).values(), *probes.injections(5).values()]
    parts += [probes.masks(5), probes.quotations(5), probes.facts(5)]
    return [case for cases in parts for case in cases]


def test_no_slot_or_bracket_is_left():
    for case in every_case():
        for text in (case.before, case.after):
            assert not re.search(r"[{}]|\[\w*\]|  |\|\w+\]", text), text


def test_a_swap_changes_something_and_only_that():
    for what, cases in probes.swaps(5).items():
        for case in cases:
            assert case.before != case.after, what
    for case in probes.swaps(5)["leader"]:
        gone = set(re.findall(r"[\w-]+", case.before)) - set(re.findall(r"[\w-]+", case.after))
        assert 1 <= len(gone) <= 4, case


def test_an_injection_is_one_wording():
    for case in probes.injections(5)["loaded"]:
        before, after = case.before.split(), case.after.split()
        same = 0
        while same < len(before) and before[same] == after[same]:
            same += 1
        tail = 0
        while tail < len(before) - same and before[-1 - tail] == after[-1 - tail]:
            tail += 1
        assert len(before) - same - tail <= 1, case
        put_in = " ".join(after[same : len(after) - tail])
        assert put_in.strip(",.;") in LOADED, case
    for case in probes.injections(5)["startling"]:
        assert any(marker in case.after for marker in MARKERS)
        assert len(case.after) > len(case.before)


def test_neutral_passages_hold_no_loaded_word():
    loaded = re.compile(RULES["loaded_language"])
    for case in probes.injections(5)["loaded"]:
        assert not loaded.search(case.before)
        assert loaded.search(case.after)


def test_a_quotation_holds_the_author_s_words():
    for case in probes.quotations(5):
        inside = "".join(re.findall("“([^”]*)”", case.after))
        letters = re.compile(r"\W")
        assert letters.sub("", case.before) == letters.sub("", inside), case


def test_a_disguise_is_undone_by_normalisation():
    cases = probes.disguises(5)
    assert len({case.before for case in cases}) == probes.DISGUISED
    assert sum(case.before != case.after for case in cases) > 0.9 * len(cases)
    for case in cases:
        assert normalize(case.after).text == normalize(case.before).text


def test_typos_hit_a_twentieth_of_the_characters():
    cases = probes.typos(5)
    kept = [
        len(case.before) - sum(a == b for a, b in zip(case.before, case.after, strict=False))
        for case in cases
    ]
    assert len(cases) == probes.TYPED
    assert sum(case.before == case.after for case in cases) < 0.05 * len(cases)
    lengths = [len(case.after) / len(case.before) for case in cases]
    assert np.mean(lengths) == pytest.approx(1, abs=0.02)
    assert max(kept) > 0


# The intervals


def test_shares_resample_whole_events():
    hits = np.repeat([1, 0, 1, 0, 0, 0, 1, 0, 0, 0], 10)[:, None]
    counted = np.ones_like(hits)
    by_event = Resamples.of([str(i // 10) for i in range(100)], 0).share(hits, counted)[0]
    alone = Resamples.of([str(i) for i in range(100)], 0).share(hits, counted)[0]
    assert by_event.value == alone.value == pytest.approx(0.3)
    assert by_event.high - by_event.low > 2 * (alone.high - alone.low)
    assert alone.low == pytest.approx(0.3 - 1.96 * math.sqrt(0.21 / 100), abs=0.02)


def test_no_flip_at_all_is_not_certainty():
    nothing = np.zeros((60, 1))
    events = [str(i // 3) for i in range(60)]
    none = Resamples.of(events, 0).share(nothing, nothing == 0)[0]
    assert (none.value, none.low) == (0, 0)
    assert (1 - none.high) ** 20 == pytest.approx(0.025)
    undefined = Resamples.of(events, 0).share(nothing, nothing)[0]
    assert math.isnan(undefined.value)
    assert undefined.n == 0


@pytest.mark.slow
def test_the_shipped_model_is_audited():
    result = audit(framing.load("core-en"), name="core-en")
    parts = {part.name: part for part in result.parts}
    assert result.left_out == {}
    for name in ("disguises", "loaded taken out", "quotation", "neutral facts"):
        assert parts[name].passed, name
