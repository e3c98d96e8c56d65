import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framing.model.calibration import (
    Decisions,
    LabelDecision,
    best_threshold,
    fit_decisions,
    platt,
    sigmoid,
    unsure_band,
)
from framing.model.scored import Decision


def logistic_sample(n, slope, intercept, seed=0):
    rng = np.random.default_rng(seed)
    z = rng.normal(size=n) * 2
    y = (rng.random(n) < sigmoid(slope * z + intercept)).astype(float)
    return z, y


ROW = LabelDecision(1.5, -0.25, 0.3, 0.2, 0.6)


# --- decisions --------------------------------------------------------------------------------


def test_decides_yes_no_and_unsure():
    assert [ROW.decide(p) for p in (0.1, 0.2, 0.3, 0.59, 0.6, 0.9)] == [
        Decision.NO,
        Decision.UNSURE,
        Decision.UNSURE,
        Decision.UNSURE,
        Decision.YES,
        Decision.YES,
    ]


def test_an_empty_band_leaves_the_threshold_alone():
    row = LabelDecision(1, 0, 0.4, 0.4, 0.4)
    assert row.decide(0.4) is Decision.YES
    assert row.decide(math.nextafter(0.4, 0)) is Decision.NO


@given(
    st.lists(st.floats(0, 1), min_size=3, max_size=3).map(sorted),
    st.lists(st.floats(0, 1), min_size=1, max_size=20),
)
def test_arrays_and_single_decisions_agree(edges, probabilities):
    low, threshold, high = edges
    row = LabelDecision(1, 0, threshold, low, high)
    table = np.array(probabilities)[:, None]
    decisions = Decisions({"a": row})
    yes, unsure = decisions.yes(table)[:, 0], decisions.unsure(table)[:, 0]
    for p, y, u in zip(probabilities, yes, unsure, strict=True):
        expected = Decision.UNSURE if u else Decision.YES if y else Decision.NO
        assert row.decide(p) is expected


def test_calibrates_each_label_with_its_own_line():
    decisions = Decisions({"a": LabelDecision(2, 1, 0.5, 0.5, 0.5), "b": ROW})
    p = decisions.calibrate(np.array([[0.0, 1.0], [1000.0, -1000.0]], np.float32))
    assert p == pytest.approx(
        np.array([[1 / (1 + math.exp(-1)), 1 / (1 + math.exp(-1.25))], [1, 0]])
    )


# --- JSON -------------------------------------------------------------------------------------

finite = st.floats(-1e6, 1e6)


@given(
    st.floats(1e-6, 1e6),
    finite,
    st.lists(st.floats(0, 1), min_size=3, max_size=3).map(sorted),
)
def test_json_gives_back_equal_numbers(slope, intercept, edges):
    low, threshold, high = edges
    decisions = Decisions({"ä b": LabelDecision(slope, intercept, threshold, low, high), "c": ROW})
    again = Decisions.from_json(decisions.to_json(), ["ä b", "c"])
    assert dict(again) == dict(decisions)
    assert list(again) == ["ä b", "c"]


GOOD = {"slope": 1.0, "intercept": 0, "threshold": 0.5, "unsure_low": 0.4, "unsure_high": 0.6}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "Expecting value"),
        ("[]", "must be a JSON object"),
        ("[" * 100_000, "not JSON"),
        (b"\xff\xfe{", "."),
        ("{}", "must hold the labels"),
        (json.dumps({"b": GOOD}), "must hold the labels"),
        (json.dumps({"a": GOOD, "b": GOOD}), "must hold the labels"),
        (json.dumps({"a": 1}), "a: must hold exactly"),
        (json.dumps({"a": {**GOOD, "extra": 1}}), "a: must hold exactly"),
        (json.dumps({"a": {k: v for k, v in GOOD.items() if k != "slope"}}), "a: must hold"),
        (json.dumps({"a": {**GOOD, "slope": "1"}}), "a: slope must be a number"),
        (json.dumps({"a": {**GOOD, "slope": True}}), "a: slope must be a number"),
        (json.dumps({"a": {**GOOD, "slope": None}}), "a: slope must be a number"),
        (json.dumps({"a": {**GOOD, "slope": 0}}), "a: slope must be above 0"),
        (json.dumps({"a": {**GOOD, "slope": -1}}), "a: slope must be above 0"),
        (json.dumps({"a": {**GOOD, "intercept": math.nan}}), "a: intercept must be finite"),
        ('{"a": ' + json.dumps(GOOD).replace("1.0", "1e999") + "}", "a: slope must be finite"),
        ('{"a": ' + json.dumps(GOOD).replace("1.0", "1" * 400) + "}", "a: slope must be finite"),
        (json.dumps({"a": {**GOOD, "threshold": 0.3}}), "a: 0 <= unsure_low <= threshold"),
        (json.dumps({"a": {**GOOD, "unsure_high": 1.01}}), "a: 0 <= unsure_low"),
        (json.dumps({"a": {**GOOD, "unsure_low": -0.01}}), "a: 0 <= unsure_low"),
        ('{"a": {"slope": 1, "slope": 2}}', "stands twice"),
    ],
)
def test_refuses_any_other_json(text, message):
    with pytest.raises(ValueError, match=message):
        Decisions.from_json(text, ["a"])


# --- Platt ------------------------------------------------------------------------------------


def test_platt_recovers_slope_and_intercept():
    z, y = logistic_sample(20_000, 1.7, -1.2)
    slope, intercept = platt(z, y, np.ones_like(z))
    assert slope == pytest.approx(1.7, abs=0.1)
    assert intercept == pytest.approx(-1.2, abs=0.1)


def test_platt_finds_the_minimum_that_scipy_finds():
    from scipy.optimize import minimize

    z, y = logistic_sample(300, 0.8, -2.0, seed=3)
    w = np.random.default_rng(0).uniform(0.5, 2, len(z))
    n = w / w.mean()
    positives, negatives = n @ y, n @ (1 - y)
    t = np.where(y == 1, (positives + 1) / (positives + 2), 1 / (negatives + 2))

    def loss(x):
        p = sigmoid(x[0] * z + x[1])
        return -n @ (t * np.log(p) + (1 - t) * np.log(1 - p)) + (x[0] - 1) ** 2 / 2

    assert platt(z, y, w) == pytest.approx(minimize(loss, [1, 0]).x, abs=1e-3)


def test_platt_survives_perfect_separation_and_turned_rankings():
    z = np.linspace(-3, 3, 50)
    ones = np.ones(50)
    slope, _ = platt(z, (z > 0).astype(float), ones)
    assert 0 < slope < 20
    slope, intercept = platt(z, (z < 0).astype(float), ones)
    assert slope == 0.01
    assert sigmoid(slope * z + intercept).mean() == pytest.approx(0.5, abs=0.01)


def test_a_weight_counts_like_copies():
    z, y = logistic_sample(200, 1.0, -0.5)
    times = np.random.default_rng(0).integers(1, 4, 200)
    copies = np.repeat(np.arange(200), times)
    weighted = platt(z, y, times.astype(float))
    # Smoothing and penalty see the mean weight, so only nearly equal.
    assert platt(z[copies], y[copies], np.ones(len(copies))) == pytest.approx(weighted, abs=0.05)


def test_a_soft_target_counts_half_each_way():
    z, y = logistic_sample(5000, 1.0, 0.0)
    slope, intercept = platt(z, np.where(np.arange(5000) % 2 == 0, y, 0.5), np.ones(5000))
    assert 0.3 < slope < 0.7
    assert intercept == pytest.approx(0, abs=0.15)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(-50, 50), st.sampled_from([0.0, 0.5, 1.0])), min_size=1, max_size=30
    )
)
def test_platt_is_always_finite_and_rising(rows):
    z, y = np.array(rows).T
    slope, intercept = platt(z, y, np.ones(len(z)))
    assert slope > 0
    assert math.isfinite(slope)
    assert math.isfinite(intercept)


# --- thresholds -------------------------------------------------------------------------------


def expected_f1(p, cut):
    yes = p >= cut
    return 2 * p[yes].sum() / (yes.sum() + p.sum())


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0.001, 0.999), min_size=2, max_size=30))
def test_no_cut_promises_a_better_f1(values):
    p = np.array(values)
    chosen = best_threshold(p, np.ones(len(p)))
    best = max(expected_f1(p, cut) for cut in p)
    assert expected_f1(p, chosen) == pytest.approx(best)


def test_weights_move_the_threshold():
    z, _ = logistic_sample(2000, 1.0, 0.0)
    p = sigmoid(z)
    often_low = best_threshold(p, np.where(p < 0.3, 10.0, 1.0))
    often_high = best_threshold(p, np.where(p > 0.7, 10.0, 1.0))
    assert often_low < best_threshold(p, np.ones(len(p))) < often_high


# --- the unsure band --------------------------------------------------------------------------


def decided_error(p, y, low, high):
    yes, no = p >= high, p < low
    return ((1 - y)[yes].sum() + y[no].sum()) / max(1, (yes | no).sum())


def test_a_label_that_is_right_often_enough_has_no_band():
    p = np.r_[np.full(90, 0.05), np.full(10, 0.95)]
    y = (p > 0.5).astype(float)
    assert unsure_band(p, y, np.ones(100), 0.5) == (0.5, 0.5)


def test_what_is_more_likely_a_no_is_never_a_yes():
    p = np.r_[np.full(900, 0.01), np.full(20, 0.4), np.full(10, 0.95)]
    y = np.r_[np.zeros(900), np.tile([1.0, 0, 0, 1, 0], 4), np.ones(10)]
    assert unsure_band(p, y, np.ones(len(p)), 0.3) == (0.3, 0.5)


def test_the_band_is_the_smallest_that_keeps_the_bound():
    z, y = logistic_sample(4000, 1.5, -1.0)
    p = sigmoid(1.5 * z - 1)
    low, high = unsure_band(p, y, np.ones(len(p)), 0.4)
    assert decided_error(p, y, low, high) <= 0.05
    assert decided_error(p, y, low + 0.02, high - 0.02) > 0.05
    assert 0 < ((p >= low) & (p < high)).mean() < 0.5


def test_a_band_of_true_probabilities_holds_on_other_passages():
    z, y = logistic_sample(8000, 1.5, -1.0)
    p = sigmoid(1.5 * z - 1)
    low, high = unsure_band(p[:4000], y[:4000], np.ones(4000), 0.4)
    assert decided_error(p[4000:], y[4000:], low, high) <= 0.06


def test_what_cannot_be_told_apart_keeps_half_of_its_decisions():
    rng = np.random.default_rng(0)
    p = rng.uniform(0.3, 0.7, 1000)
    y = (rng.random(1000) < 0.5).astype(float)
    low, high = unsure_band(p, y, np.ones(1000), 0.5)
    assert ((p >= high) | (p < low)).mean() == pytest.approx(0.5, abs=0.01)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(0, 1), st.sampled_from([0.0, 0.5, 1.0]), st.floats(0.1, 5)),
        min_size=1,
        max_size=40,
    ),
    st.floats(0, 1),
)
def test_the_band_lies_around_the_threshold_and_the_middle(rows, threshold):
    p, y, w = np.array(rows).T
    low, high = unsure_band(p, y, w, threshold)
    LabelDecision(1, 0, threshold, low, high)
    assert low <= 0.5 <= high


# --- all of it --------------------------------------------------------------------------------


def test_fits_every_label_on_what_is_known_of_it():
    z1, y1 = logistic_sample(3000, 1.0, -1.0, seed=1)
    z2, y2 = logistic_sample(3000, 2.0, 0.5, seed=2)
    y = np.column_stack([y1, y2])
    known = np.ones_like(y, bool)
    known[1500:, 0] = False
    y[2000:, 1] = np.nan
    both = fit_decisions(np.column_stack([z1, z2]), y, known, ["a", "b"])
    alone = fit_decisions(z1[:1500, None], y1[:1500, None], None, ["a"])
    assert both["a"] == alone["a"]
    assert both["b"].slope == pytest.approx(2, abs=0.3)
    assert both.thresholds == {"a": both["a"].threshold, "b": both["b"].threshold}


def test_data_that_tell_nothing_give_the_middle_and_no_band():
    z = np.linspace(-2, 2, 40)[:, None]
    for y in (np.zeros((40, 1)), np.ones((40, 1)), np.full((40, 1), np.nan)):
        row = fit_decisions(z, y, None, ["a"])["a"]
        assert (row.threshold, row.unsure_low, row.unsure_high) == (0.5, 0.5, 0.5)
    never = fit_decisions(z, np.zeros((40, 1)), None, ["a"])
    assert never.calibrate(z).max() < 0.2


def test_weights_undo_an_enriched_sample():
    z, y = logistic_sample(40_000, 1.0, -3.0)
    kept = (y == 1) | (np.random.default_rng(0).random(len(y)) < 0.2)
    weights = np.where(y == 1, 1.0, 5.0)[kept]
    plain = fit_decisions(z[kept, None], y[kept, None], None, ["a"])["a"]
    undone = fit_decisions(z[kept, None], y[kept, None], None, ["a"], weights=weights)["a"]
    assert undone.intercept == pytest.approx(-3, abs=0.15)
    assert plain.intercept > -2


@pytest.mark.parametrize(
    ("logits", "targets", "weights", "message"),
    [
        (np.zeros((3, 2)), np.zeros((3, 1)), None, "must be"),
        (np.full((3, 1), np.inf), np.zeros((3, 1)), None, "finite"),
        (np.zeros((3, 1)), np.zeros((3, 1)), [1, 1, 0], "weights"),
        (np.zeros((3, 1)), np.zeros((3, 1)), [1, 1], "weights"),
    ],
)
def test_refuses_arrays_that_do_not_fit(logits, targets, weights, message):
    with pytest.raises(ValueError, match=message):
        fit_decisions(logits, targets, None, ["a"], weights=weights)
