"""`framing train` and `framing evaluate` as a user meets them, with the baseline (no torch)."""

import csv
import json
import random

import pytest
from typer.testing import CliRunner

from framing.cli import app

CODEBOOK = """\
name: weather
version: 1
labels:
  rain: It rains.
  sun: The sun shines.
"""


def run(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments])


@pytest.fixture(scope="module")
def coded(tmp_path_factory):
    """400 passages of 200 documents, as CSV, and the codebook."""
    folder = tmp_path_factory.mktemp("coded")
    draw = random.Random(0)
    words = "town today minister said people bridge river market police road school".split()
    with (folder / "coded.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["text", "document", "source", "rain", "sun"])
        for i in range(400):
            rain, sun = draw.random() < 0.4, draw.random() < 0.4
            text = draw.choices(words, k=8) + ["rain"] * rain + ["sun"] * sun
            draw.shuffle(text)
            # every tenth passage was never coded for sun: not coded is not a no
            table.writerow(
                [" ".join(text), i // 2, "ABC"[i % 3], int(rain), "" if i % 10 == 0 else int(sun)]
            )
    (folder / "weather.yaml").write_text(CODEBOOK)
    return folder


@pytest.fixture(scope="module")
def bundle(coded):
    out = coded / "weather-model"
    result = run(
        "train",
        coded / "coded.csv",
        "--codebook",
        coded / "weather.yaml",
        "-o",
        out,
        "--encoder",
        "tfidf",
    )
    assert result.exit_code == 0, result.output
    assert "mean of labels" in result.output
    return out


def test_a_trained_bundle_scores(bundle, tmp_path):
    article = tmp_path / "a.txt"
    article.write_text("The minister said rain fell on the market and the river today.\n")
    result = run("score", article, "--model", bundle, "--format", "json")
    assert result.exit_code == 0, result.output
    (passage,) = json.loads(result.output)["documents"][0]["passages"]
    assert passage["labels"] == ["rain"]


def test_the_same_command_writes_the_same_model(bundle, coded, tmp_path):
    again = tmp_path / "weather-model"
    run(
        "train",
        coded / "coded.csv",
        "--codebook",
        coded / "weather.yaml",
        "-o",
        again,
        "--encoder",
        "tfidf",
    )
    for name in ("baseline.json", "baseline.npz", "decisions.json", "codebook.yaml"):
        assert (again / name).read_bytes() == (bundle / name).read_bytes()


def test_evaluate_compares_and_records(bundle, coded):
    before = json.loads((bundle / "manifest.json").read_text())["fingerprint"]
    result = run("evaluate", coded / "coded.csv", "-m", bundle, "--by", "source", "--record")
    assert result.exit_code == 0, result.output
    assert "source=A" in result.output
    metrics = json.loads((bundle / "metrics.json").read_text())
    card = (bundle / "README.md").read_text()
    assert metrics["table"] in card
    overall = metrics["evaluations"][0]["slices"][0]["all"]
    assert overall["labels"]["rain"]["f1"]["value"] > 0.95
    # a card with figures is the same model: provenance of earlier results still names it
    assert json.loads((bundle / "manifest.json").read_text())["fingerprint"] == before
    assert run("score", "--example", "--model", bundle).exit_code == 0


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("passage,rain\nIt rains,1\n", "text"),
        ("text,rain\nIt rains,1\nIt snows,perhaps\n", "line 3"),
        ("text,document,rain,sun\nIt rains,1,1,0\n", "too few"),
    ],
)
def test_unusable_codes_are_one_line(content, told, coded, tmp_path):
    (tmp_path / "c.csv").write_text(content)
    result = run(
        "train",
        tmp_path / "c.csv",
        "--codebook",
        coded / "weather.yaml",
        "-o",
        tmp_path / "m",
        "--encoder",
        "tfidf",
    )
    assert result.exit_code == 2
    assert told in result.output
    assert len(result.output.strip().splitlines()) == 1
    assert not (tmp_path / "m").exists()
