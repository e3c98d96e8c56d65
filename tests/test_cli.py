"""The command line: what it prints, where, and how it ends."""

import csv
import gzip
import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from io import StringIO
from pathlib import Path

import pytest
from stubs import StubModel

import framing.cli
import framing.model.classifier
from framing.model.bundle import BundleError
from framing.show.records import SCHEMA

STUB = [sys.executable, str(Path(__file__).with_name("stubs.py"))]
# the framing under test, installed or not
ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(framing.__file__).parents[1])}
ENGLISH = "The minister said that the bridge would open in March, and that it had cost 12 million."
FRENCH = (
    "Le ministre a déclaré mardi que le pont serait ouvert au mois de mars et que les travaux "
    "avaient coûté douze millions d'euros, selon un communiqué publié dans la soirée à Paris."
)


@pytest.fixture
def run(monkeypatch, capfdbinary):
    """Run the command line in this process on the stub; returns code, stdout and stderr."""
    monkeypatch.setattr(framing.model.classifier, "load", lambda *_, **__: StubModel())

    def run(*args):
        with pytest.raises(SystemExit) as ended:
            framing.cli.app([str(arg) for arg in args], prog_name="framing")
        out, err = capfdbinary.readouterr()
        return ended.value.code, out.decode(), err.decode()

    return run


@pytest.fixture
def article(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text(f"{ENGLISH}\n", encoding="utf-8")
    return path


def in_process(*args, **kwargs):
    return subprocess.run(
        [*STUB, *map(str, args)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=ENVIRONMENT,
        **kwargs,
    )


def test_the_example_is_scored_and_shown_in_full(run):
    code, out, err = run("score", "--example")
    assert (code, err) == (0, "")
    assert "SHOCK in Samarkand" in out
    assert "Profile" in out


@pytest.mark.parametrize("form", ["json", "jsonl", "csv", "table"])
def test_the_suffix_of_the_output_decides_its_format(run, article, tmp_path, form):
    target = tmp_path / f"out.{'txt' if form == 'table' else form}"
    assert run("score", article, "-o", target) == (0, "", "")
    code, out, _ = run("score", article, "--format", form)
    assert code == 0
    if form != "table":  # a table is as wide as where it is shown
        assert target.read_text(encoding="utf-8") == out
    assert "official_source" in target.read_text(encoding="utf-8")


def test_options_reach_the_output(run, article):
    code, out, _ = run(
        "score", article, "-f", "json", "--unit", "sentence", "--evidence", "--min-confidence", ".8"
    )
    data = json.loads(out)
    assert code == 0
    assert data["schema"] == SCHEMA
    assert data["provenance"]["options"] == {
        "unit": "sentence",
        "evidence": True,
        "min_confidence": 0.8,
        "any_language": False,
        "text_column": None,
    }
    assert data["documents"][0]["passages"][0]["evidence"]
    assert data["documents"][0]["language"] == "en"


def test_what_fails_takes_one_line_and_the_rest_is_scored(run, article, tmp_path):
    empty = tmp_path / "empty.txt"
    empty.touch()
    binary = tmp_path / "noise.txt"
    binary.write_bytes(bytes(range(256)) * 40)
    crash = tmp_path / "crash.txt"
    crash.write_text(f"CRASH {ENGLISH}", encoding="utf-8")
    code, out, err = run("score", empty, article, binary, crash, article, "-f", "json")
    data = json.loads(out)
    assert code == 1
    assert [document["id"] for document in data["documents"]] == ["a.txt", "a.txt"]
    assert [error["reason"] for error in data["errors"]] == ["empty", "binary", "crashed"]
    lines = err.splitlines()
    assert len(lines) == 3
    assert all(line.startswith(f"framing: {tmp_path}") for line in lines)
    assert "Traceback" not in err


def test_files_of_one_name_are_told_apart_by_path(run, tmp_path):
    paths = [
        tmp_path / name for name in ("one/a.txt", "art/a.txt", "b.txt", "one/c.jsonl", "c.jsonl")
    ]
    for path in paths:
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps({"text": ENGLISH}) if path.suffix == ".jsonl" else ENGLISH)
    one, art, _, record, other = map(str, paths)
    expected = [one, art, "b.txt", f"{record}#1", f"{other}#1"]
    _, out, _ = run("score", *paths, "-f", "json")
    assert [document["id"] for document in json.loads(out)["documents"]] == expected
    _, out, _ = run("score", *paths, "-f", "csv")
    assert (
        list(dict.fromkeys(row["document_id"] for row in csv.DictReader(StringIO(out)))) == expected
    )
    _, out, _ = run("score", *paths)
    assert {"one/a.txt", "art/a.txt"} <= {"/".join(x.split("/")[-2:]) for x in out.split()}
    assert out.count("one/a.txt") == 1


def test_a_failure_of_files_of_one_name_names_each_once(run, tmp_path):
    paths = [tmp_path / name for name in ("one/a.txt", "art/a.txt")]
    for path in paths:
        path.parent.mkdir()
        path.write_text(FRENCH, encoding="utf-8")
    _, _, err = run("score", *paths, "-f", "csv")
    assert [err.count(str(path)) for path in paths] == [1, 1]


@pytest.mark.parametrize(
    ("form", "several", "told"),
    [
        ("table", True, True),
        ("table", False, False),
        ("csv", False, True),
        ("json", True, False),
        ("jsonl", True, False),
    ],
)
def test_evidence_that_will_not_be_shown_is_said_so(run, article, tmp_path, form, several, told):
    other = tmp_path / "b.txt"
    other.write_text(ENGLISH)
    _, _, err = run("score", article, *[other] * several, "--evidence", "-f", form)
    assert ("evidence is shown for one article, or with --format json" in err) is told
    rows = tmp_path / "rows.jsonl"
    rows.write_text(json.dumps({"text": ENGLISH}))
    _, _, err = run("score", rows, "--evidence", "-f", form)
    assert bool(err) is (form in ("table", "csv"))


@pytest.mark.parametrize("missing", [True, False])
def test_a_missing_file_or_a_directory_is_wrong_use_and_the_rest_is_scored(
    run, article, tmp_path, missing
):
    path = tmp_path / "none.txt" if missing else tmp_path
    code, out, err = run("score", path, article, "-f", "json")
    assert code == 2
    assert len(json.loads(out)["documents"]) == 1
    assert err.count("\n") == 1
    assert str(path) in err


def test_a_bad_line_costs_that_line(run, tmp_path):
    records = tmp_path / "r.jsonl"
    good = json.dumps({"id": "x", "text": ENGLISH})
    records.write_text(f"{good}\n{{oops\n{good}\n", encoding="utf-8")
    code, out, err = run("score", records, "-f", "jsonl")
    rows = [json.loads(line) for line in out.splitlines()]
    assert code == 1
    assert [("error" in row) for row in rows[1:]] == [False, True, False]
    assert "line 2" in err


def test_another_language_is_refused_unless_asked_for_and_flagged_then(run, article, tmp_path):
    french = tmp_path / "fr.txt"
    french.write_text(FRENCH, encoding="utf-8")
    code, out, err = run("score", french, article, "-f", "json")
    assert code == 1
    assert [error["reason"] for error in json.loads(out)["errors"]] == ["language"]
    assert "the language is fr" in err
    assert "--any-language" in err
    code, out, err = run("score", french, "-f", "json", "--any-language")
    assert (code, err) == (0, "")
    assert json.loads(out)["documents"][0]["language"] == "fr"


def test_text_column(run, tmp_path):
    table = tmp_path / "t.csv"
    table.write_text(f'number,words_of_it\n1,"{ENGLISH}"\n', encoding="utf-8")
    assert run("score", table, "-f", "csv")[0] == 1
    code, out, _ = run("score", table, "-f", "csv", "--text-column", "words_of_it")
    assert code == 0
    assert ENGLISH in out


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["score"], "nothing to score"),
        (["score", "--min-confidence", "2", "x"], "--min-confidence"),
        (["score", "--unit", "verse", "x"], "--unit"),
        (["score", "--wrong", "x"], "--wrong"),
        (["paint"], "paint"),
        (["codebook", "show", "nope"], "no such file"),
        (["score", "--example", "-o", "/nowhere/at/all.json"], "there is no folder"),
        (["score", "--example", "-o", "/"], "is a directory"),
        (["score", "--example", "-o", "a.xlsx"], ".xlsx is none of .txt, .json, .jsonl, .csv"),
    ],
)
def test_wrong_use_is_told_and_ends_with_2(run, args, expected):
    code, out, err = run(*args)
    assert (code, out) == (2, "")
    assert expected in err
    assert "Traceback" not in err


@pytest.mark.parametrize("name", ["pages", "a.warc.gz", "a.warc", "a.warc.wet.gz"])
def test_what_a_run_reads_is_sent_there_in_one_line(run, tmp_path, name):
    path = tmp_path / name
    if name == "pages":
        path.mkdir()
    else:
        head = b"WARC/1.0\r\nWARC-Type: warcinfo\r\nContent-Length: 0\r\n\r\n\r\n\r\n"
        path.write_bytes(gzip.compress(head) if name.endswith("gz") else head)
    code, _, err = run("score", path, "-f", "json")
    assert code == (2 if name == "pages" else 1)
    (line,) = err.splitlines()
    assert f"score all of it with framing run {path} -o OUT" in line


def test_an_input_is_never_overwritten(run, article, tmp_path):
    link = tmp_path / "link.txt"
    link.symlink_to(article)
    for target in (article, link):
        code, _, err = run("score", article, "-o", target)
        assert code == 2
        assert "would be overwritten" in err
    assert article.read_text(encoding="utf-8").startswith(ENGLISH)


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [("NO MEMORY", 4, "out of memory"), ("INTERRUPT", 130, "interrupted")],
)
def test_a_run_that_breaks_off_leaves_the_old_output_alone(run, tmp_path, text, code, said):
    bad = tmp_path / "bad.txt"
    bad.write_text(f"{text} {ENGLISH}", encoding="utf-8")
    target = tmp_path / "out.json"
    target.write_text("old", encoding="utf-8")
    found, _, err = run("score", bad, "-o", target)
    assert (found, err) == (code, f"framing: {err.removeprefix('framing: ')}")
    assert said in err
    assert target.read_text(encoding="utf-8") == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.txt", "out.json"]


def test_a_refused_bundle_ends_with_3(monkeypatch, run):
    def refuse(*_, **__):
        raise BundleError("mine", "model.onnx", "its hash is not the manifest's")

    monkeypatch.setattr(framing.model.classifier, "load", refuse)
    code, out, err = run("score", "--example", "--model", "mine")
    assert (code, out, err.count("\n")) == (3, "", 1)
    assert "bundle mine: model.onnx: its hash" in err


def test_a_bug_is_one_line_and_a_traceback_only_on_request(monkeypatch, run):
    def broken(*_, **__):
        raise RuntimeError("two\nlines")

    monkeypatch.setattr(framing.model.classifier, "load", broken)
    code, _, err = run("score", "--example")
    assert code == 1
    assert err == (
        "framing: internal error: RuntimeError: two lines (set FRAMING_DEBUG=1 for the traceback)\n"
    )
    monkeypatch.setenv("FRAMING_DEBUG", "1")
    with pytest.raises(RuntimeError):
        framing.cli.app(["score", "--example"], prog_name="framing")


def test_output_to_a_device_is_not_replaced(run, article):
    assert run("score", article, "-o", "/dev/null")[0] == 0
    assert not Path("/dev/null").is_file()


def test_codebook_check_says_fine_or_lists_every_error(run, tmp_path):
    good = tmp_path / "good.yaml"
    good.write_text("name: x\nversion: 1\nlabels: {a: Says a.}\n", encoding="utf-8")
    assert run("codebook", "check", good) == (0, f"{good}: fine: x version 1, 1 label\n", "")
    bad = tmp_path / "bad.yaml"
    bad.write_text("name: x y\nlabels: {a: Says a., b: ''}\n", encoding="utf-8")
    code, out, err = run("codebook", "check", bad)
    assert (code, out) == (2, "")
    assert [line.split(":")[0].strip() for line in err.splitlines()[1:]] == [
        "version",
        "name",
        "labels.b.definition",
    ]


def test_codebook_show(run):
    code, out, _ = run("codebook", "show")
    assert code == 0
    assert "Core framing codebook, version 2" in out


@pytest.mark.parametrize("args", [["version"], ["--version"]])
def test_version(run, args):
    assert run(*args) == (0, f"framing {framing.__version__}\n", "")


@pytest.mark.parametrize("command", [[], ["score"]])
def test_help_documents_the_exit_codes(run, command):
    code, out, _ = run(*command, "--help")
    assert code == 0
    for number, words in [(0, "done"), (2, "wrong use"), (3, "bundle"), (4, "disk"), (130, "Ctrl")]:
        assert re.search(rf"\b{number} .*{words}", out)


def test_standard_input(tmp_path):
    done = in_process("score", "-", "-f", "csv", input=ENGLISH)
    assert (done.returncode, done.stderr) == (0, "")
    assert ENGLISH in done.stdout
    lines = (json.dumps({"id": name, "text": ENGLISH}) + "\n" for name in "ab")
    done = in_process("score", "-", "-f", "jsonl", input="".join(lines))
    assert [json.loads(line).get("id") for line in done.stdout.splitlines()] == [None, "a", "b"]


def test_a_reader_that_leaves_early_is_met_in_silence(tmp_path):
    many = tmp_path / "many.jsonl.gz"
    with gzip.open(many, "wt", encoding="utf-8") as file:
        file.write((json.dumps({"text": ENGLISH * 20}) + "\n") * 300)
    shell = f"set -o pipefail; {' '.join(STUB)} score {many} -f jsonl | head -1; echo $?"
    done = subprocess.run(
        ["bash", "-c", shell],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env=ENVIRONMENT,
    )
    assert done.stdout.splitlines()[-1] == "141"
    assert done.stderr == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("form", ["json", "table"])
def test_a_full_disk_ends_with_4(form):
    with open("/dev/full", "wb") as full:  # noqa: PTH123
        done = subprocess.run(
            [*STUB, "score", "--example", "-f", form], stdout=full, stderr=subprocess.PIPE,
            timeout=60, check=False, env=ENVIRONMENT,
        )  # fmt: skip
    assert done.returncode == 4
    assert done.stderr.decode().startswith("framing: No space left on device")
    assert done.stderr.count(b"\n") == 1


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_end_a_run_without_leftovers(tmp_path, sent, code):
    target = tmp_path / "out.jsonl"
    process = subprocess.Popen(
        [*STUB, "score", "-", "-o", str(target)],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=ENVIRONMENT,
    )
    deadline = time.monotonic() + 30
    while not list(tmp_path.glob(".out.jsonl.*.part")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(sent)
    _, err = process.communicate(timeout=30)
    assert process.returncode == code
    assert b"Traceback" not in err
    assert list(tmp_path.iterdir()) == []


def test_progress_is_shown_on_a_terminal_only(tmp_path, article):
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [*STUB, "score", str(article), str(article), "-f", "json", "-o", str(tmp_path / "o.json")],
        stderr=slave,
        env=ENVIRONMENT,
    )
    os.close(slave)
    seen = b""
    while True:
        try:
            piece = os.read(master, 4096)
        except OSError:  # how a terminal says that nobody is left
            break
        if not piece:
            break
        seen += piece
    os.close(master)
    assert process.wait(timeout=30) == 0
    assert re.search(rb"\[#*\.*\] \d/2 files, \d document", seen)
    assert seen.endswith(b"\r\x1b[K")


def test_the_command_starts_without_what_it_does_not_need():
    heavy = ["sklearn", "scipy", "trafilatura", "pyarrow", "onnxruntime", "tokenizers", "torch",
             "numpy", "rich"]  # fmt: skip
    code = (
        "import sys, framing.cli; "
        f"print([name for name in {heavy} if name in sys.modules], 'typer' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env=ENVIRONMENT,
    )
    assert done.stdout.strip() == "[] True"
