"""`framing agreement`: alpha and its kin, files of several coders, tables, refusals."""

import gzip
import itertools
import json
import math
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from framing.cli import app
from framing.codebook.codebook import Codebook
from framing.codebook.coded import CodedError, passage_id, read_coded
from framing.codebook.coders import Codes, read_codes
from framing.study.agreement import AgreementError, agreement, krippendorff_alpha

EXAMPLE = Path(__file__).parents[1] / "framing" / "examples" / "coders.csv"
YAML = """
name: weather
version: 1
labels:
  alarm: The passage warns.
  hope: The passage promises better.
"""
BOOK = Codebook.from_yaml(YAML)
NAN = float("nan")


def coded(table, documents=None, columns=None):
    """Codes from (passages, coders, labels), or (passages, coders) for one label."""
    table = np.asarray(table, float)
    table = table[..., None] if table.ndim == 2 else table
    n, m, k = table.shape
    passage, coder = np.indices((n, m)).reshape(2, -1)
    return Codes(
        labels=tuple(f"label{j}" for j in range(k)),
        ids=tuple(f"p{i}" for i in range(n)),
        documents=tuple(documents or (f"d{i}" for i in range(n))),
        coders=tuple(f"c{j}" for j in range(m)),
        passage=passage,
        coder=coder,
        values=table.reshape(n * m, k),
        columns=columns or {},
    )


def only(codes):
    return agreement(codes).overall.labels["label0"]


def by_hand(table):
    """Alpha, agreement and F1 from the pairs of codes themselves."""
    pairs = Counter()
    for row in table:
        codes = [code for code in row if not math.isnan(code)]
        for pair in itertools.permutations(codes, 2):
            pairs[pair] += 1 / (len(codes) - 1)
    n = sum(pairs.values())
    yes = pairs[1, 1] + pairs[1, 0]
    expected = 2 * yes * (n - yes) / (n - 1) if n > 1 else 0
    alpha = 1 - 2 * pairs[1, 0] / expected if expected > 1e-9 else NAN
    return alpha, (pairs[1, 1] + pairs[0, 0]) / n, pairs[1, 1] / yes if yes > 1e-9 else NAN


# --- the figures ------------------------------------------------------------------------------


def test_krippendorff_s_published_nominal_example():
    # "Computing Krippendorff's Alpha-Reliability" (2011), section C: 4 coders, 12 units, 0 missing.
    data = np.array(
        [
            [1, 2, 3, 3, 2, 1, 4, 1, 2, 0, 0, 0],
            [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, 0, 3],
            [0, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, 0],
            [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, 0],
        ]
    )
    counts = np.array([(data == value).sum(axis=0) for value in range(1, 6)]).T
    assert krippendorff_alpha(counts) == pytest.approx(0.743, abs=0.0005)


def test_krippendorff_s_published_binary_example():
    # The same paper, section A: of 10 units both coders say yes to 1 and one of them to 4.
    coders = ["0100000000", "1110011000"]
    found = only(coded([[int(a), int(b)] for a, b in zip(*coders, strict=True)]))
    assert found.alpha.value == pytest.approx(0.095, abs=0.0005)
    assert found.agreement.value == pytest.approx(0.6)
    assert found.f1.value == pytest.approx(2 * 1 / (1 + 5))


tables = st.integers(2, 4).flatmap(
    lambda coders: st.lists(
        st.lists(st.sampled_from([0.0, 1.0, NAN]), min_size=coders, max_size=coders),
        min_size=2,
        max_size=12,
    )
)


@settings(max_examples=30, deadline=None)
@given(tables)
def test_figures_are_those_of_the_pairs_of_codes(table):
    twice = sum(sum(not math.isnan(code) for code in row) >= 2 for row in table)
    if not twice:
        with pytest.raises(AgreementError, match="no passage was coded by two coders"):
            only(coded(table))
        return
    found = only(coded(table))
    values = [found.alpha.value, found.agreement.value, found.f1.value]
    assert values == pytest.approx(list(by_hand(table)), nan_ok=True)
    assert found.passages == found.alpha.n == twice


@settings(max_examples=15, deadline=None)
@given(tables, st.randoms(use_true_random=False))
def test_the_order_of_coders_and_passages_changes_nothing(table, random):
    table = [*table, [1.0] * len(table[0])]
    before = only(coded(table))
    table = [list(row) for row in zip(*random.sample(list(zip(*table)), len(table[0])))]  # noqa: B905
    after = only(coded(random.sample(table, len(table))))
    for figure in ("alpha", "agreement", "f1"):
        values = [getattr(found, figure).value for found in (before, after)]
        assert values[0] == pytest.approx(values[1], nan_ok=True)


def test_coders_who_never_differ_have_an_alpha_of_one_without_an_interval():
    found = only(coded([[0, 0], [1, 1], [0, 0], [1, 1]]))
    assert (found.alpha.value, found.agreement.value, found.f1.value) == (1, 1, 1)
    assert found.yes == 0.5
    assert math.isnan(found.alpha.low)


def test_coders_who_guess_have_an_alpha_of_nought_within_its_interval():
    guesses = np.random.default_rng(0).random((40, 300, 3)) < 0.2
    found = [only(coded(table)) for table in guesses]
    assert np.mean([figures.alpha.value for figures in found]) == pytest.approx(0, abs=0.02)
    covered = sum(figures.alpha.low < 0 < figures.alpha.high for figures in found)
    assert covered >= 35  # of 40: 95 % and some luck
    # Which is why agreement alone says little.
    assert min(figures.agreement.value for figures in found) > 0.6


def test_a_label_nobody_says_yes_to_is_left_out_of_the_mean():
    rng = np.random.default_rng(1)
    truth = rng.random((60, 1, 2)) < [0.5, 0]
    table = truth ^ (rng.random((60, 2, 2)) < [0.1, 0])
    part = agreement(coded(table)).overall
    never = part.labels["label1"]
    assert math.isnan(never.alpha.value)
    assert math.isnan(never.f1.value)
    assert (never.agreement.value, never.yes) == (1, 0)
    assert part.mean.alpha == part.labels["label0"].alpha
    assert part.mean.f1 == part.labels["label0"].f1


def test_intervals_resample_documents():
    rng = np.random.default_rng(2)
    truth = np.repeat(rng.random(50) < 0.5, 8)
    table = np.stack([truth, truth ^ np.repeat(rng.random(50) < 0.2, 8)], axis=1)
    alone = only(coded(table)).alpha
    together = only(coded(table, [f"d{i // 8}" for i in range(400)])).alpha
    assert together.value == alone.value
    assert together.high - together.low > 2 * (alone.high - alone.low)


def test_parts_and_pairs():
    rng = np.random.default_rng(3)
    truth = rng.random((80, 1)) < 0.5
    table = (truth ^ (rng.random((80, 3)) < [0, 0.1, 0.3])).astype(float)
    table[:20, 2] = NAN
    rounds = np.repeat(["1", "2"], 40)
    found = agreement(coded(table, columns={"round": tuple(np.repeat(rounds, 3))}), by="round")
    assert [(p.name, p.passages) for p in found.parts] == [
        ("all", 80),
        ("round=1", 40),
        ("round=2", 40),
    ]
    alone = agreement(coded(table[40:], [f"d{i}" for i in range(40, 80)]))
    assert found.parts[2].labels == alone.overall.labels
    assert [(p.coders, p.passages) for p in found.pairs] == [
        (("c0", "c1"), 80),
        (("c0", "c2"), 60),
        (("c1", "c2"), 60),
    ]
    for pair in found.pairs:
        columns = [int(coder[1]) for coder in pair.coders]
        assert pair.alpha == pytest.approx(by_hand(table[:, columns])[0])
    json.dumps(found.to_dict(), allow_nan=False)


def test_a_passage_needs_one_value_to_be_broken_down_by():
    codes = coded([[1, 0], [1, 1]], columns={"round": ("1", "2", "1", "")})
    with pytest.raises(AgreementError, match=r"'round' of passage p0 is '1' in one row and '2'"):
        agreement(codes, by="round")
    with pytest.raises(AgreementError, match=r"no column 'wave' .*; it has round"):
        agreement(codes, by="wave")


@pytest.mark.parametrize("column", ["document", "id", "coder", "label0"])
def test_what_makes_up_the_figures_cannot_break_them_down(column):
    with pytest.raises(AgreementError, match=f"column '{column}' cannot be used with --by"):
        agreement(coded([[1, 0], [1, 1]]), by=column)


# --- files ------------------------------------------------------------------------------------

ONE = """id,document,coder,round,alarm,hope
a,d,anna,1,1,0
a,d,ben,1,1,
b,d,anna,2,0,yes
b,,ben,2,no,1
c,,anna,2,1,1
"""


def write(tmp_path, name, content):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def same(codes, other):
    return (
        (codes.labels, codes.ids, codes.coders) == (other.labels, other.ids, other.coders)
        and codes.passage.tolist() == other.passage.tolist()
        and codes.coder.tolist() == other.coder.tolist()
        and np.array_equal(codes.values, other.values, equal_nan=True)
    )


def test_one_file_with_a_column_of_coders(tmp_path):
    codes = read_codes([write(tmp_path, "codes.csv", ONE)], BOOK)
    assert (codes.labels, codes.ids) == (("alarm", "hope"), ("a", "b", "c"))
    assert codes.coders == ("anna", "ben")
    assert codes.documents[:2] == ("d", "d")
    assert codes.documents[2] != "d"
    expected = [[1, 0], [1, NAN], [0, 1], [0, 1], [1, 1]]
    assert np.array_equal(codes.values, expected, equal_nan=True)
    assert dict(codes.columns) == {"round": ("1", "1", "2", "2", "2")}


def test_a_file_for_each_coder_in_any_format_packed_or_not(tmp_path):
    expected = read_codes([write(tmp_path, "codes.csv", ONE)], BOOK)
    anna = write(tmp_path, "anna.csv.gz", gzip.compress(b"id,alarm,hope\na,1,0\nb,0,1\nc,1,1\n"))
    rows = ['{"id": "a", "alarm": 1}', '{"id": "b", "alarm": false, "hope": true}']
    ben = write(tmp_path, "ben.jsonl", "\n".join(rows))
    codes = read_codes([anna, ben], BOOK)
    assert codes.coders == ("anna", "ben")
    order = np.lexsort((codes.coder, codes.passage))
    assert np.array_equal(codes.values[order], expected.values, equal_nan=True)
    names = read_codes(
        [write(tmp_path, f"{who}/codes.csv", "id,alarm\na,1\n") for who in ("x", "y")], BOOK
    ).coders
    assert [Path(name).parent.name for name in names] == ["x", "y"]


def test_passages_without_ids_are_matched_by_their_words(tmp_path):
    files = [
        write(tmp_path, "anna.csv", 'text,labels\n"Rain, they said.",alarm\n'),
        write(tmp_path, "ben.csv", "text,labels\nrain they said,alarm; hope\n"),
    ]
    codes = read_codes(files, BOOK)
    assert codes.ids == (passage_id("Rain, they said."),) == ("2f71bf2a355b",)
    assert codes.values.tolist() == [[1, 0], [1, 1]]


def test_rows_of_one_coder_complete_each_other(tmp_path):
    text = "id,coder,alarm,hope\na,anna,1,\na,anna,1,0\na,ben,0,0\n"
    whole = "id,coder,alarm,hope\na,anna,1,0\na,ben,0,0\n"
    assert same(
        read_codes([write(tmp_path, "x.csv", text)], BOOK),
        read_codes([write(tmp_path, "y.csv", whole)], BOOK),
    )


def test_coded_passages_are_read_packed_too(tmp_path):
    text = b"text,alarm\nx,1\ny,0\n"
    plain = read_coded(write(tmp_path, "x.csv", text), BOOK)
    packed = read_coded(write(tmp_path, "x.csv.gz", gzip.compress(text)), BOOK)
    assert packed.texts == plain.texts
    assert np.array_equal(packed.targets, plain.targets, equal_nan=True)
    cut = write(tmp_path, "cut.csv.gz", gzip.compress(text)[:-9])
    with pytest.raises(CodedError, match=r"cut.csv.gz: the gzip data ends too early"):
        read_coded(cut, BOOK)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"x.csv": "id,alarm\na,1\n"}, "x.csv: no column coder; it has id, alarm"),
        ({"x.csv": "coder,alarm\na,1\n"}, r"x.csv: no column id \(or text\)"),
        ({"x.csv": "id,coder,alarm\na,b,1\n,b,1\n"}, "x.csv: line 3: column id is empty"),
        ({"x.csv": "id,coder,alarm\na,,1\n"}, "x.csv: line 2: column coder is empty"),
        ({"x.csv": "text,coder,alarm\n ,b,1\n"}, "x.csv: line 2: column text is empty"),
        ({"x.csv": "id,coder,alarm\na,b,0.5\n"}, "line 2, column alarm: 0.5 is a share"),
        ({"x.csv": "id,coder,alarm\na,b,maybe\n"}, "line 2, column alarm: 'maybe' is not"),
        ({"x.csv": "id,coder,alarms,hope\na,b,1,1\n"}, "looks like the label alarm; rename"),
        ({"x.csv": "id,coder,rain\na,b,1\n"}, "no codes: needs a column labels or one for each"),
        ({"x.csv": "id,coder,labels\na,b,rain\n"}, "no label 'rain' in the codebook"),
        (
            {"x.csv": "id,coder,alarm\na,b,1\nc,b,1\na,b,0\n"},
            "x.csv: line 4: b coded passage a twice, alarm 0 here and 1 in line 2; keep one",
        ),
        (
            {"x.csv": "id,coder,alarm\na,y,1\n", "y.csv": "id,alarm\na,0\n"},
            "y.csv: line 2: y coded passage a twice, alarm 0 here and 1 in line 2 of .*x.csv",
        ),
        (
            {"x.csv": "id,document,alarm\na,d,1\n", "y.csv": "id,document,alarm\na,e,1\n"},
            "y.csv: line 2: passage a is of document e here and of d in line 2 of .*x.csv",
        ),
        ({"x.csv": "id,alarm\na,1\n", "y.csv": "id,alarm\nb,1\n"}, "2 passages, coders x, y"),
        (
            {"x.csv": "id,alarm\na,1\n", "y.csv": "id,hope\na,1\n"},
            "no passage was coded by two coders",
        ),
        ({"x.csv": "id,alarm\na,1\n", "./x.csv": "id,alarm\na,1\n"}, "x.csv: is named twice"),
        ({"x.xlsx.gz": b"", "y.csv": b""}, r"x.xlsx.gz: not a file .* packed \(.gz, .zst\)"),
        ({"x.csv": "id,coder,alarm\n"}, "x.csv: holds no passages"),
        ({"x.csv": None, "y.csv": "id,alarm\na,1\n"}, "x.csv: no such file: check the name"),
    ],
)  # fmt: skip
def test_refusals_are_one_line_with_file_and_row(tmp_path, files, message):
    paths = [
        tmp_path / name if content is None else write(tmp_path, name, content)
        for name, content in files.items()
    ]
    book = write(tmp_path, "weather.yaml", YAML)
    result = invoke(*paths, "--codebook", book)
    assert result.exit_code == 2
    assert re.search(message, result.stderr)
    assert result.stderr.count("\n") == 1


# --- the command ------------------------------------------------------------------------------


def invoke(*arguments):
    return CliRunner().invoke(app, ["agreement", *map(str, arguments)])


def test_the_table_of_the_example():
    result = invoke(EXAMPLE)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0] == "coders.csv: 20 passages of 4 documents, coded by two or more of 3 coders"
    row = next(line.split() for line in lines if "commentary" in line)
    assert row == ["commentary", "20", "23%", ".80", ".93", ".85"]
    # of four documents
    assert lines[lines.index(next(x for x in lines if "commentary" in x)) + 1].split() == ["–"] * 3
    assert "for fewer than 10 documents" in " ".join(lines)
    assert [line.split() for line in lines if line.split()[:1] == ["anna"]] == [
        ["anna", "ben", "20", ".86"],
        ["anna", "chidi", "16", ".93"],
    ]


def test_bounds_below_nought_have_a_minus_and_no_nought(tmp_path):
    rows = [f"{i},{coder},{int(i == at)}" for i in range(12) for coder, at in (("a", 0), ("b", 1))]
    path = write(tmp_path, "x.csv", "\n".join(["id,coder,alarm", *rows]) + "\n")
    result = invoke(path, "--codebook", write(tmp_path, "weather.yaml", YAML))
    assert re.search(r"−\.\d\d–(−?\.|1\.)\d\d ", result.stdout), result.stdout
    assert "-" not in result.stdout
    assert "0.0" not in result.stdout


def test_json_holds_every_figure_and_undefined_ones_as_null(tmp_path):
    text = ONE.replace("id,", "no,id,").replace("\n", "\n5,").removesuffix("5,")
    result = invoke(
        write(tmp_path, "codes.csv", text),
        *("--codebook", write(tmp_path, "weather.yaml", YAML), "--by", "round", "--json"),
    )
    assert result.exit_code == 0, result.output
    data = json.loads(result.stdout)
    assert data["coders"] == ["anna", "ben"]
    assert [part["name"] for part in data["parts"]] == ["all", "round=others"]
    labels = data["parts"][0]["labels"]
    assert labels["alarm"]["alpha"]["value"] == 1
    assert labels["hope"]["alpha"]["value"] is None  # said yes to by both wherever both coded
    assert labels["hope"]["passages"] == 1
    assert data["pairs"] == [{"coders": ["anna", "ben"], "passages": 2, "alpha": 1}]


def test_undefined_figures_are_dashes_and_names_cannot_steer_the_terminal(tmp_path):
    text = "id,coder,alarm,hope\n" + "".join(
        f"{i},{coder},{i % 2},0\n" for i in range(4) for coder in ("[red]x", "\x1b[2Jy", "z")
    )
    book = write(tmp_path, "weather.yaml", YAML)
    result = invoke(write(tmp_path, "codes.csv", text), "--codebook", book)
    assert result.exit_code == 0, result.output
    rows = [line.split() for line in result.stdout.splitlines()]
    assert ["hope", "4", "0%", "–", "1.00", "–"] in rows
    assert "\x1b" not in result.stdout
    assert "[red]x" in result.stdout
