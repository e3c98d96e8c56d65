import io
import json
import math

import numpy as np
import pytest
from rich.console import Console

from framing.codebook.coded import Coded
from framing.model.calibration import Decisions, LabelDecision
from framing.show.evaluation import evaluation_markdown, evaluation_tables
from framing.study.evaluate import EvaluationError, evaluate

LABELS = ("alarm", "hope")
DECISIONS = Decisions(
    {"alarm": LabelDecision(1, 0, 0.5, 0.4, 0.6), "hope": LabelDecision(1, 0, 0.3, 0.3, 0.3)}
)


class Model:
    """Reads its probabilities off the texts."""

    labels = LABELS
    decisions = DECISIONS

    def predict_proba(self, texts):
        return np.array([[float(word) for word in text.split()] for text in texts])


def coded(n=200, seed=0, labels=LABELS):
    rng = np.random.default_rng(seed)
    p = rng.random((n, 2)).round(3)
    targets = (rng.random((2, n, 2)) < p).mean(axis=0)
    order = [LABELS.index(label) for label in labels]
    return Coded(
        labels=labels,
        ids=tuple(map(str, range(n))),
        texts=tuple(f"{a} {b}" for a, b in p),
        targets=targets[:, order],
        groups=tuple(f"d{i // 2}" for i in range(n)),
        columns={
            "drawn": tuple("random" if i % 4 else "enriched" for i in range(n)),
            "paper": tuple("Post" if i < 150 else f"small {i}" for i in range(n)),
        },
    )


def f1(yes, y):
    return 2 * (yes & y).sum() / (yes.sum() + y.sum())


@pytest.fixture(scope="module")
def examples():
    return coded()


@pytest.fixture(scope="module")
def evaluation(examples):
    return evaluate(Model(), examples, name="toy", examples_name="made up", by="drawn")


def test_headline_is_macro_f1_at_half_of_the_coders(examples, evaluation):
    p = Model().predict_proba(examples.texts)
    held = examples.targets >= 0.5
    expected = [f1(p[:, 0] >= 0.5, held[:, 0]), f1(p[:, 1] >= 0.3, held[:, 1])]
    assert evaluation.macro_f1.value == pytest.approx(np.mean(expected))
    found = [evaluation.overall.report.labels[label].f1.value for label in LABELS]
    assert found == pytest.approx(expected)
    assert (evaluation.overall.passages, evaluation.overall.documents) == (200, 100)


def test_unsure_passages_are_left_out_of_the_decided(examples, evaluation):
    p = Model().predict_proba(examples.texts)[:, 0]
    sure = (p < 0.4) | (p >= 0.6)
    held = examples.targets[:, 0] >= 0.5
    part = evaluation.overall
    assert part.unsure == {"alarm": pytest.approx(1 - sure.mean()), "hope": 0}
    assert part.decided.labels["alarm"].f1.value == pytest.approx(f1((p >= 0.6)[sure], held[sure]))
    assert part.decided.labels["alarm"].f1.n == sure.sum()
    assert part.wrong["alarm"] == pytest.approx(((p >= 0.6) != held)[sure].mean())
    assert part.decided.labels["hope"] == part.report.labels["hope"]


def test_other_readings_of_coders_who_disagree(examples, evaluation):
    assert set(evaluation.overall.rules) == {"each coder", "agreed"}
    p = Model().predict_proba(examples.texts)
    agreed = []
    for j, cut in enumerate((0.5, 0.3)):
        clear = examples.targets[:, j] != 0.5
        agreed.append(f1(p[clear, j] >= cut, examples.targets[clear, j] == 1))
    assert evaluation.overall.rules["agreed"].f1.value == pytest.approx(np.mean(agreed))
    whole = Coded(
        examples.labels,
        examples.ids,
        examples.texts,
        np.round(examples.targets),
        examples.groups,
        {},
    )
    assert evaluate(Model(), whole).overall.rules == {}


def test_parts_are_measured_as_if_alone(examples, evaluation):
    assert [part.name for part in evaluation.slices] == ["all", "drawn=random", "drawn=enriched"]
    alone = evaluate(Model(), examples.take([d == "random" for d in examples.columns["drawn"]]))
    assert evaluation.slices[1].passages == 150
    assert evaluation.slices[1].report == alone.overall.report


def test_small_parts_are_measured_together(examples):
    parts = evaluate(Model(), examples, by="paper").slices
    assert [(part.name, part.passages) for part in parts] == [
        ("all", 200),
        ("paper=Post", 150),
        ("paper=others", 50),
    ]


def test_labels_are_matched_by_name(evaluation):
    turned = evaluate(Model(), coded(labels=("hope", "alarm")))
    assert turned.overall.report == evaluation.overall.report


def test_a_label_that_was_not_coded_is_measured_on_nothing():
    part = evaluate(Model(), coded(labels=("alarm",))).overall
    assert part.report.labels["hope"].f1.n == 0
    assert math.isnan(part.wrong["hope"])
    assert part.report.mean.f1.value == part.report.labels["alarm"].f1.value


def test_refuses_what_cannot_be_compared(examples):
    with pytest.raises(EvaluationError, match=r"no column 'source'.*it has drawn, paper"):
        evaluate(Model(), examples, by="source")
    strangers = Coded(("rain",), ("1",), ("0 0",), np.ones((1, 1)), ("d",), {})
    with pytest.raises(EvaluationError, match="none of the model's labels"):
        evaluate(Model(), strangers)


def test_the_same_seed_gives_the_same_json_and_no_texts(examples, evaluation):
    again = evaluate(Model(), examples, name="toy", examples_name="made up", by="drawn")
    text = json.dumps(evaluation.to_dict(), allow_nan=False)
    assert json.dumps(again.to_dict()) == text
    assert not any(words in text for words in examples.texts)
    nothing = evaluate(Model(), coded(labels=("alarm",)))
    json.dumps(nothing.to_dict(), allow_nan=False)


# --- tables -----------------------------------------------------------------------------------


def rendered(evaluations, width=80):
    stream = io.StringIO()
    Console(file=stream, width=width, no_color=True).print(evaluation_tables(evaluations))
    return stream.getvalue()


def test_the_table_fits_80_columns_and_holds_every_figure(evaluation):
    text = rendered([evaluation])
    assert max(map(len, text.splitlines())) <= 80
    for figures in (*evaluation.overall.report.labels.values(), evaluation.overall.report.mean):
        for estimate in (figures.precision, figures.f1, figures.average_precision):
            assert f"{estimate.value:.2f}"[1:] in text
            assert f"{estimate.low:.2f}"[1:] + "–" + f"{estimate.high:.2f}"[1:] in text
    for words in ("alarm", "hope", "drawn=random, decided", "all, agreed", "200 passages"):
        assert words in text
    assert "…" not in text


def test_models_stand_side_by_side(examples, evaluation):
    class Other(Model):
        def predict_proba(self, texts):
            return 1 - super().predict_proba(texts)

    other = evaluate(Other(), examples, name="other", examples_name="made up", by="drawn")
    text = rendered([evaluation, other])
    assert max(map(len, text.splitlines())) <= 80
    assert text.count("alarm") == 1
    assert text.count("toy") == text.count("other")
    markdown = evaluation_markdown([evaluation, other])
    rows = [line for line in markdown.splitlines() if line.startswith("| alarm")]
    assert [row.split(" | ")[2] for row in rows] == ["toy", "other"]


def test_markdown_tables_are_rectangular(evaluation):
    for block in evaluation_markdown([evaluation]).split("\n\n"):
        if block.startswith("|"):
            assert len({line.count(" | ") for line in block.splitlines()}) == 1


def test_undefined_figures_are_dashes():
    text = rendered([evaluate(Model(), coded(labels=("alarm",)))])
    row = next(line for line in text.splitlines() if line.strip().startswith("hope"))
    assert row.split() == ["hope", "0", *"–––––"]
    assert "nan" not in text
