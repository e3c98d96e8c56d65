import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, precision_recall_fscore_support

from framing.model import metrics
from framing.model.metrics import METRICS, Estimate, measure


def sample(n=300, labels=2, seed=0, digits=2):
    """Probabilities with many ties, decisions and targets drawn from them."""
    rng = np.random.default_rng(seed)
    p = np.round(rng.random((n, labels)), digits)
    return p, p >= 0.5, (rng.random((n, labels)) < p).astype(float)


def value(report, label, metric):
    return getattr(report.labels[label], metric).value


def test_values_are_those_of_scikit_learn():
    p, yes, y = sample()
    report = measure(["a", "b"], p, yes, y)
    for j, label in enumerate("ab"):
        precision, recall, f1, _ = precision_recall_fscore_support(
            y[:, j], yes[:, j], average="binary"
        )
        assert value(report, label, "precision") == pytest.approx(precision)
        assert value(report, label, "recall") == pytest.approx(recall)
        assert value(report, label, "f1") == pytest.approx(f1)
        assert value(report, label, "average_precision") == pytest.approx(
            average_precision_score(y[:, j], p[:, j])
        )
        assert report.labels[label].support == y[:, j].sum()
    for metric in METRICS:
        mean = np.mean([value(report, label, metric) for label in "ab"])
        assert getattr(report.mean, metric).value == pytest.approx(mean)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.integers(0, 1), st.integers(0, 3)), min_size=1, max_size=30
    )
)
def test_average_precision_with_ties_and_weights_is_scikit_learns(rows):
    p, y, w = np.array(rows, float).T
    if not (w * y).sum():
        return
    one = metrics._Sorted.of(p / 5, p > 2, y, np.arange(len(p)))
    figures = one.figures(w[None, :])[0]
    assert figures[3] == pytest.approx(average_precision_score(y, p, sample_weight=w))
    precision, recall, f1, _ = precision_recall_fscore_support(
        y, p > 2, sample_weight=w, average="binary", zero_division=0
    )
    assert figures[:3] == pytest.approx([precision, recall, f1])


def test_a_share_counts_as_one_passage_for_each_coder():
    p, yes, first = sample(seed=1)
    second = np.where(np.random.default_rng(2).random(first.shape) < 0.2, 1 - first, first)
    shares = measure(["a", "b"], p, yes, (first + second) / 2)
    twice = measure(["a", "b"], np.r_[p, p], np.r_[yes, yes], np.r_[first, second])
    for label in "ab":
        for metric in METRICS:
            assert value(shares, label, metric) == pytest.approx(value(twice, label, metric))


# --- calibration error ------------------------------------------------------------------------


def reference_calibration_error(p, y, bins=15):
    order = np.argsort(-p)
    parts = np.array_split(order, bins)
    return sum(abs(p[part].sum() - y[part].sum()) for part in parts) / len(p)


def test_calibration_error_is_that_of_equal_bins():
    rng = np.random.default_rng(0)
    p = rng.random((1500, 1))
    y = (rng.random((1500, 1)) < p**2).astype(float)
    found = value(measure(["a"], p, p > 0.5, y), "a", "calibration_error")
    assert found == pytest.approx(reference_calibration_error(p[:, 0], y[:, 0]))


def test_equal_probabilities_are_in_one_bin_whatever_the_order():
    y = np.r_[np.ones(30), np.zeros(70)][:, None]
    p = np.full((100, 1), 0.25)
    for targets in (y, y[::-1]):
        error = value(measure(["a"], p, p > 0.5, targets), "a", "calibration_error")
        assert error == pytest.approx(0.05)


def test_the_interval_of_the_calibration_error_holds_its_value():
    p, yes, y = sample(n=400, labels=5, digits=6)
    report = measure(list("abcde"), p, yes, y)
    for figures in (*report.labels.values(), report.mean):
        error = figures.calibration_error
        assert 0 <= error.low <= error.value <= error.high


# --- intervals --------------------------------------------------------------------------------


def test_intervals_cover_and_are_of_the_expected_width():
    n = 1000
    rng = np.random.default_rng(0)
    y = np.ones((n, 1))
    p = rng.random((n, 1))
    recall = measure(["a"], p, p >= 0.5, y).labels["a"].recall
    width = 2 * 1.96 * math.sqrt(0.25 / n)
    assert recall.low < recall.value < recall.high
    assert recall.high - recall.low == pytest.approx(width, rel=0.1)


def test_documents_are_resampled_whole():
    """Ten copies of each passage say no more than one, if they are of one document."""
    p, yes, y = sample(n=100, labels=1)
    once = measure(["a"], p, yes, y).labels["a"].f1
    copies = np.repeat(np.arange(100), 10)
    names = [f"doc{i}" for i in copies]
    grouped = measure(["a"], p[copies], yes[copies], y[copies], names).labels["a"].f1
    loose = measure(["a"], p[copies], yes[copies], y[copies]).labels["a"].f1
    assert grouped.high - grouped.low == pytest.approx(once.high - once.low, rel=0.15)
    assert loose.high - loose.low < 0.5 * (once.high - once.low)


def test_the_seed_decides_the_interval_and_nothing_else():
    p, yes, y = sample()
    first, again = (measure(["a", "b"], p, yes, y, seed=1) for _ in range(2))
    other = measure(["a", "b"], p, yes, y, seed=2)
    assert first == again
    assert first.mean.f1.value == other.mean.f1.value
    assert first.mean.f1.low != other.mean.f1.low


def test_blocks_do_not_change_the_draws(monkeypatch):
    p, yes, y = sample(n=50)
    whole = measure(["a", "b"], p, yes, y)
    monkeypatch.setattr(metrics, "BLOCK", 5000)
    assert measure(["a", "b"], p, yes, y).mean.f1.value == whole.mean.f1.value
    assert measure(["a", "b"], p, yes, y).mean.f1.low == whole.mean.f1.low


# --- what is not defined ----------------------------------------------------------------------


def test_a_label_without_positives_is_left_out_of_the_means():
    p, yes, y = sample()
    y[:, 1] = 0
    report = measure(["a", "b"], p, yes, y)
    for metric in METRICS[:4]:
        assert math.isnan(value(report, "b", metric))
        assert getattr(report.mean, metric).value == value(report, "a", metric)
    assert value(report, "b", "calibration_error") > 0


def test_a_label_never_said_yes_to_has_precision_and_f1_of_0():
    p, yes, y = sample(labels=1)
    report = measure(["a"], p, np.zeros_like(yes), y)
    assert [value(report, "a", m) for m in METRICS[:3]] == [0, 0, 0]


def test_unknown_targets_are_left_out():
    p, yes, y = sample()
    gaps = y.copy()
    gaps[100:, 0] = np.nan
    report = measure(["a", "b"], p, yes, gaps)
    alone = measure(["a"], p[:100, :1], yes[:100, :1], y[:100, :1])
    assert report.labels["a"].f1.n == 100
    assert report.labels["b"].f1.n == report.mean.f1.n == 300
    for metric in METRICS:
        assert value(report, "a", metric) == pytest.approx(value(alone, "a", metric))


@pytest.mark.parametrize("n", [0, 5])
def test_nothing_known_gives_nothing(n):
    report = measure(["a"], np.zeros((n, 1)), np.zeros((n, 1), bool), np.full((n, 1), np.nan))
    assert math.isnan(report.mean.f1.value)
    text = json.dumps(report.to_dict(), allow_nan=False)
    assert json.loads(text)["mean"]["f1"]["value"] is None


def test_refuses_shapes_that_do_not_fit():
    with pytest.raises(ValueError, match="must all be"):
        measure(["a"], np.zeros((3, 1)), np.zeros((3, 2)), np.zeros((3, 1)))


def test_an_estimate_as_data():
    assert Estimate(0.5, 0.4, math.nan, 7, "m").to_dict() == {
        "value": 0.5,
        "low": 0.4,
        "high": None,
        "n": 7,
        "method": "m",
    }
