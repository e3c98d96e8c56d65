import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import parametrize_with_checks
from sklearn.utils.validation import check_is_fitted, validate_data

from framing.model import estimator
from framing.model.estimator import FramingClassifier

WORDS = ("sun", "rain", "snow", "wind")


class CountWords:
    """Embeds a text as its counts of a few words."""

    def embed(self, texts):
        return np.array([[t.split().count(w) for w in WORDS] for t in texts], np.float32)


class OnNumbers(FramingClassifier):
    """The same classifier with rows of numbers in place of embeddings.

    scikit-learn skips nearly all of its checks for an estimator of texts. Everything but the
    embedding itself is the same here, and passes them.
    """

    def fit(self, X, y):  # noqa: N803
        return super().fit(validate_data(self, X, ensure_min_samples=2), y)

    def predict_proba(self, X):  # noqa: N803
        check_is_fitted(self)
        return super().predict_proba(validate_data(self, X, reset=False))

    def _features(self, X):  # noqa: N803
        return np.asarray(X, float)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        tags.input_tags.string = False
        return tags


@parametrize_with_checks([OnNumbers()])
def test_scikit_learn_check(estimator, check):
    check(estimator)


@pytest.mark.parametrize(
    "check",
    [
        "check_estimator_cloneable",
        "check_estimator_tags_renamed",
        "check_valid_tag_types",
        "check_estimator_repr",
        "check_no_attributes_set_in_init",
        "check_mixin_order",
        "check_do_not_raise_errors_in_init_or_set_params",
        "check_parameters_default_constructible",
        "check_get_params_invariance",
        "check_set_params",
    ],
)
def test_scikit_learn_check_without_numbers(check):
    getattr(estimator_checks, check)("FramingClassifier", FramingClassifier())


def texts_of(n, seed=0):
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(WORDS, size=12)) for _ in range(n)]


@pytest.fixture
def texts():
    return texts_of(240)


def counts(texts, word):
    return np.array([t.split().count(word) for t in texts])


def make(**options):
    return FramingClassifier(CountWords(), **options)


def test_two_classes(texts):
    y = np.where(counts(texts, "sun") > 3, "bright", "dull")
    fitted = make(C=1.0).fit(texts[:160], y[:160])
    p = fitted.predict_proba(texts[160:])
    assert fitted.classes_.tolist() == ["bright", "dull"]
    assert p.shape == (80, 2)
    assert np.allclose(p.sum(axis=1), 1)
    assert fitted.score(texts[160:], y[160:]) > 0.95


def test_several_classes(texts):
    y = np.minimum(counts(texts, "sun"), 4)
    fitted = make(C=1.0).fit(texts, y)
    p = fitted.predict_proba(texts)
    assert p.shape == (240, 5)
    assert np.allclose(p.sum(axis=1), 1)
    assert fitted.score(texts, y) > 0.6


def test_several_labels_with_a_threshold_each(texts):
    y = np.column_stack([counts(texts, "sun") > 3, counts(texts, "rain") > 5]).astype(int)
    fitted = make(C=1.0).fit(texts, y)
    p, said = fitted.predict_proba(texts), fitted.predict(texts)
    assert p.shape == said.shape == (240, 2)
    assert set(np.unique(said)) == {0, 1}
    assert (said == y).mean() > 0.95
    assert np.array_equal(said, fitted.decisions_.yes(p))


def test_a_label_that_never_holds_gets_a_low_probability(texts):
    y = np.column_stack([counts(texts, "sun") > 3, np.zeros(240, int)])
    fitted = make().fit(texts, y)
    assert fitted.predict_proba(texts)[:, 1].max() < 0.05
    assert fitted.predict(texts)[:, 1].sum() == 0


def test_probabilities_are_calibrated_on_unseen_texts():
    rng = np.random.default_rng(1)
    texts = texts_of(3000, seed=1)
    truth = 1 / (1 + np.exp(-(counts(texts, "sun") - 3.0)))
    y = (rng.random(3000) < truth).astype(int)
    p = make(C=1.0).fit(texts[:2000], y[:2000]).predict_proba(texts[2000:])[:, 1]
    assert np.abs(p - truth[2000:]).mean() < 0.03


def test_works_in_pipeline_grid_search_and_cross_validation(texts):
    y = (counts(texts, "wind") > 3).astype(int)
    pipeline = Pipeline(
        [("lower", FunctionTransformer(lambda xs: [x.lower() for x in xs])), ("head", make())]
    )
    search = GridSearchCV(pipeline, {"head__C": [1e-6, 1.0]}, cv=3).fit(texts, y)
    assert search.best_params_ == {"head__C": 1.0}
    assert cross_val_score(make(C=1.0), texts, y, scoring="roc_auc", cv=3).mean() > 0.95


def test_clone_and_pickle(texts):
    y = (counts(texts, "wind") > 3).astype(int)
    fitted = make(C=0.5).fit(texts, y)
    again = pickle.loads(pickle.dumps(fitted))
    assert np.array_equal(again.predict_proba(texts), fitted.predict_proba(texts))
    assert clone(fitted).get_params()["C"] == 0.5


def test_a_bundle_is_named_and_opened_once(monkeypatch, texts):
    opened = []
    monkeypatch.setattr(estimator, "load", lambda path: opened.append(path) or CountWords())
    estimator._load.cache_clear()
    y = (counts(texts, "wind") > 3).astype(int)
    cross_val_score(FramingClassifier("some-bundle"), texts, y, cv=3)
    estimator._load.cache_clear()
    assert opened == ["some-bundle"]


@pytest.mark.parametrize(
    ("x", "message"),
    [
        ("one text", "sequence of texts"),
        (np.array([["a"], ["b"]]), "sequence of texts"),
        (["a", 7], r"X\[1\] is int"),
        ([], "no texts"),
    ],
)
def test_refuses_what_is_not_texts(x, message):
    with pytest.raises(ValueError, match=message):
        make().fit(x, [0, 1])


def test_refuses_one_class_and_other_lengths(texts):
    with pytest.raises(ValueError, match="one class"):
        make().fit(texts, np.zeros(240))
    with pytest.raises(ValueError, match="inconsistent"):
        make().fit(texts, [0, 1])
