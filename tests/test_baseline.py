import io
import json
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.feature_extraction.text import TfidfVectorizer

from framing.model import baseline
from framing.model.baseline import ARRAYS, TABLE, Tfidf, terms

NAMES = ("the", "ministry", "said", "must", "shocking", "!", "?", "Ankara", "“", "it", "été", "9")


def texts_of(n, seed=0):
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(NAMES, size=rng.integers(1, 15))) for _ in range(n)]


def targets_of(texts):
    return np.array([["said" in t, "!" in t] for t in texts], float)


@pytest.fixture(scope="module")
def texts():
    return texts_of(300)


@pytest.fixture(scope="module")
def model(texts):
    return Tfidf.fit(texts, targets_of(texts))


def files_of(model, folder):
    model.save(folder)
    return {name: (folder / name).read_bytes() for name in (TABLE, ARRAYS)}


def dense(model, texts):
    x = np.zeros((len(texts), len(model.vocabulary)))
    for row, text in zip(x, texts, strict=True):
        index, value = baseline._features(text, model.vocabulary, model.idf)
        row[index] = value
    return x


def test_punctuation_ends_and_pairs_are_terms():
    assert terms("He SAID: no") == [
        *("<s>", "he", "said", ":", "no", "</s>"),
        *("<s> he", "he said", "said :", ": no", "no </s>"),
    ]


def test_features_are_those_of_scikit_learn(texts, model):
    reference = TfidfVectorizer(
        analyzer=terms, min_df=2, max_features=30_000, sublinear_tf=True
    ).fit(texts)
    assert reference.vocabulary_ == dict(model.vocabulary)
    unseen = [*texts_of(50, seed=1), "", "nothing known here", "said " * 99]
    assert dense(model, unseen) == pytest.approx(reference.transform(unseen).toarray(), abs=1e-6)


def test_the_most_frequent_terms_are_kept(texts, monkeypatch):
    monkeypatch.setattr(baseline, "MAX_FEATURES", 10)
    vocabulary, idf = baseline._vocabulary(texts)
    everything = TfidfVectorizer(analyzer=terms, min_df=2, use_idf=False).fit(texts)
    counts = {t: sum(terms(x).count(t) for x in texts) for t in everything.vocabulary_}
    dropped = [n for t, n in counts.items() if t not in vocabulary]
    assert len(vocabulary) == len(idf) == 10
    assert min(counts[t] for t in vocabulary) >= max(dropped)


def test_learns_what_there_is_to_learn(model):
    unseen = texts_of(200, seed=2)
    assert ((model.logits(unseen) > 0) == targets_of(unseen)).mean() > 0.97


def test_logits_equal_those_of_scikit_learn(texts):
    from sklearn.linear_model import LogisticRegression

    y = targets_of(texts)
    model = Tfidf.fit(texts, y)
    x = TfidfVectorizer(analyzer=terms, min_df=2, sublinear_tf=True).fit_transform(texts)
    for j in range(2):
        reference = LogisticRegression(C=baseline.C, solver="liblinear", random_state=0)
        expected = reference.fit(x, y[:, j]).decision_function(x)
        assert model.logits(texts)[:, j] == pytest.approx(expected, abs=0.01)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.text(max_size=40), min_size=1, max_size=8))
def test_a_text_is_scored_alike_in_any_company(model, texts):
    together = model.logits(texts)
    alone = np.concatenate([model.logits([text]) for text in texts])
    assert np.array_equal(together, alone)
    assert np.isfinite(together).all()


def test_saved_and_loaded_scores_are_equal_bit_by_bit(texts, model, tmp_path):
    again = Tfidf.load(files_of(model, tmp_path))
    assert np.array_equal(again.logits(texts), model.logits(texts))


def test_the_same_passages_give_the_same_bytes(texts, model, tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    again = Tfidf.fit(texts, targets_of(texts))
    assert files_of(model, tmp_path / "a") == files_of(again, tmp_path / "b")


def test_targets_not_known_are_left_out(texts):
    y = targets_of(texts)
    half = Tfidf.fit(texts[:150], y[:150])
    known = np.ones_like(y, bool)
    known[150:] = False
    garbage = np.where(known, y, 1 - y)
    gaps = np.where(known, y, np.nan)
    unseen = texts_of(50, seed=3)
    masked = Tfidf.fit(texts, garbage, known).logits(unseen)
    assert np.array_equal(masked, Tfidf.fit(texts, gaps).logits(unseen))
    # idf is of all texts, so the scores are only near those of half the texts.
    assert np.corrcoef(masked[:, 0], half.logits(unseen)[:, 0])[0, 1] > 0.99


def test_a_share_counts_in_part(texts):
    y = targets_of(texts)
    soft = Tfidf.fit(texts, 0.2 + 0.6 * y).logits(texts)
    hard = Tfidf.fit(texts, y).logits(texts)
    assert ((soft > 0) == (hard > 0)).mean() > 0.95
    assert np.abs(soft).mean() < np.abs(hard).mean()


def test_a_label_that_never_or_always_holds(texts):
    y = np.column_stack([np.zeros(300), np.ones(300), np.full(300, np.nan)])
    never, always, unknown = Tfidf.fit(texts, y).logits(["said"])[0]
    assert never == pytest.approx(-np.log(301))
    assert always == pytest.approx(np.log(301))
    assert unknown == 0


def test_refuses_targets_that_do_not_fit(texts):
    with pytest.raises(ValueError, match="targets"):
        Tfidf.fit(texts, np.zeros((3, 2)))


def archive(**arrays):
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def table(**changes):
    return json.dumps({"format": baseline.FORMAT, "terms": ["a", "b"], **changes}).encode()


ARRAYS_OK = {"idf": np.ones(2), "coef": np.ones((2, 1)), "intercept": np.ones(1)}


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({TABLE: b"{"}, "baseline.json"),
        ({TABLE: b"[" * 100_000}, "baseline.json"),
        ({TABLE: b"[]"}, "exactly 'format' and 'terms'"),
        ({TABLE: table(more=1)}, "exactly"),
        ({TABLE: table(format="other")}, "format must be"),
        ({TABLE: table(terms="ab")}, "list of strings"),
        ({TABLE: table(terms=["a", 1])}, "list of strings"),
        ({TABLE: table(terms=["a", "a"])}, "stands twice"),
        ({TABLE: table(terms=["a"])}, r"idf must be \(1,\)"),
        ({ARRAYS: b""}, "baseline.npz"),
        ({ARRAYS: b"PK\x03\x04rubbish"}, "baseline.npz"),
        ({ARRAYS: archive(idf=np.ones(2))}, "exactly the arrays"),
        ({ARRAYS: archive(**ARRAYS_OK, more=np.ones(1))}, "exactly the arrays"),
        ({ARRAYS: archive(**{**ARRAYS_OK, "coef": np.ones((3, 1))})}, "coef must be"),
        ({ARRAYS: archive(**{**ARRAYS_OK, "intercept": np.float64(1)})}, "baseline.npz"),
        ({ARRAYS: archive(**{**ARRAYS_OK, "idf": np.array([1, np.nan])})}, "not finite"),
        ({ARRAYS: archive(**{**ARRAYS_OK, "idf": np.array(["a", "b"])})}, "floating-point"),
        ({ARRAYS: archive(**{**ARRAYS_OK, "idf": np.array([{}, {}])})}, "baseline.npz"),
    ],
)
def test_refuses_files_that_are_not_a_baseline(files, message):
    good = {TABLE: table(), ARRAYS: archive(**ARRAYS_OK)}
    Tfidf.load(good)
    with pytest.raises(ValueError, match=message):
        Tfidf.load({**good, **files})


def test_nothing_is_compressed_or_pickled(model, tmp_path):
    with zipfile.ZipFile(io.BytesIO(files_of(model, tmp_path)[ARRAYS])) as z:
        assert {i.compress_type for i in z.infolist()} == {zipfile.ZIP_STORED}
        assert all(b"pickle" not in z.read(i) for i in z.infolist())


def test_scoring_loads_neither_scikit_learn_nor_scipy(model, tmp_path):
    files_of(model, tmp_path)
    code = (
        "import sys, pathlib\n"
        "from framing.model.baseline import Tfidf\n"
        f"folder = pathlib.Path({str(tmp_path)!r})\n"
        "files = {p.name: p.read_bytes() for p in folder.iterdir()}\n"
        "Tfidf.load(files).logits(['it said'])\n"
        "assert not {'sklearn', 'scipy', 'pandas'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
