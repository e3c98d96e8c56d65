"""`framing run` as a command: how it ends, what it prints, how it shows itself."""

import io
import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from runs import OPTIONS, article, framing_run
from typer.testing import CliRunner

from framing.cli import app
from framing.corpus.inputs import Lack
from framing.corpus.run import Plan, State, Summary, _pace, _telling, plan, run
from framing.corpus.survey import Overview, Shape
from framing.corpus.tables import Counts
from framing.show.running import Running, duration, overview_lines, plan_lines


def test_the_command_sums_up_and_goes_by_its_exit_code(tmp_path, corpus, bundle):
    ended = framing_run(corpus, "-o", tmp_path / "out", "-m", bundle, "--workers", 1)
    assert ended.returncode == 1
    assert "53 scored + 9 errors" in ended.stderr
    assert "a.jsonl: text from 'text', title from 'title', id from 'id'" in ended.stderr
    assert ended.stdout == ""
    good = framing_run(corpus / "pages" / "000.txt", "-o", tmp_path / "good", "-m", bundle)
    assert good.returncode == 0
    assert "1 row in = 1 scored + 0 errors" in good.stderr


def test_log_json(tmp_path, corpus, bundle):
    ended = framing_run(corpus, "-o", tmp_path / "out", "-m", bundle, "--log-json")
    events = [json.loads(line) for line in ended.stderr.splitlines()]
    assert [e["event"] for e in events if e["event"] != "progress"] == ["overview", "done"]
    last = events[-1]
    assert last["rows_in"] == last["scored"] + last["copies"] + last["errors"] == 62
    standing = [event for event in events if event["event"] == "progress"]
    assert {"documents", "errors", "documents_a_second", "seconds_left"} <= standing[-1].keys()


def test_dry_run_writes_nothing(tmp_path, corpus, bundle):
    ended = framing_run(corpus, "-o", tmp_path / "out", "-m", bundle, "--dry-run")
    assert ended.returncode == 0
    assert "12 files" in ended.stdout
    assert "62 documents" in ended.stdout
    assert "as measured just now" in ended.stdout
    assert not (tmp_path / "out").exists()


def test_dry_run_as_json(tmp_path, corpus, bundle):
    ended = framing_run(corpus, "-m", bundle, "--dry-run", "--log-json")
    (planned,) = map(json.loads, ended.stdout.splitlines())
    assert (planned["event"], planned["files"], planned["documents"]) == ("plan", 12, 62)
    assert planned["seconds"] >= 0
    assert planned["documents_a_second"] > 0
    assert {"example": "b.csv", "files": 1, "columns": {"text": "text", "id": "id"}} in (
        planned["tables"]
    )


@pytest.mark.parametrize("log", [[], ["--log-json"]])
def test_what_was_hidden_is_counted(tmp_path, bundle, log):
    (tmp_path / "in" / ".git").mkdir(parents=True)
    (tmp_path / "in" / ".notes.txt").write_text("mine")
    (tmp_path / "in" / "a.txt").write_text(article(1))
    ended = framing_run(tmp_path / "in", "-o", tmp_path / "out", "-m", bundle, *log)
    if log:
        assert json.loads(ended.stderr.splitlines()[-1])["hidden"] == 2
    else:
        assert "2 hidden entries left out of the input" in ended.stderr.splitlines()


@pytest.mark.parametrize(
    ("args", "line"),
    [
        (["gone", "-o", "out"], "gone: no such file or folder"),
        (["."], "name the folder to write to"),
        ([".", "-o", "out", "--shard", "4/3"], "--shard 4/3: give I/N"),
        ([".", "-o", "out", "--dedup", "magic"], "there is only minhash"),
    ],
)
def test_wrong_use_is_one_line(tmp_path, monkeypatch, args, line):
    monkeypatch.chdir(tmp_path)
    ended = framing_run(*args)
    assert ended.returncode == 2
    assert line in ended.stderr.splitlines()[-1]
    assert "Traceback" not in ended.stderr
    assert not list(tmp_path.iterdir())


def test_a_refused_bundle(tmp_path, corpus):
    ended = framing_run(corpus, "-o", tmp_path / "out", "-m", tmp_path)
    assert ended.returncode == 3
    assert not list(tmp_path.iterdir())


# --- how it is shown --------------------------------------------------------------------------


class Terminal(io.StringIO):
    def isatty(self):
        return True


STATE = State(
    "scoring",
    counts=Counts(scored=290, copies=0, errors=10, passages=4000),
    before=Counts(scored=100, passages=1000),
    expected=1000,
    exact=False,
    seconds=20.0,
    committed=20.0,
)


def test_rates_are_those_of_this_session():
    assert STATE.documents_a_second == 10
    assert STATE.passages_a_second == 150
    assert STATE.seconds_left == 70
    assert State("scoring").seconds_left is None


def test_the_time_left_falls_while_a_shard_is_in_work(monkeypatch):
    now, shown = [0.0], []
    monkeypatch.setattr("framing.corpus.run.time.monotonic", lambda: now[0])
    tell = _telling(shown.append, State("scoring", expected=300))
    for second, scored in [(0, 0), (10, 100), (15, 100), (25, 100), (40, 100), (41, 200)]:
        now[0] = float(second)
        tell(Counts(scored=scored))
    monkeypatch.undo()
    assert [state.seconds_left for state in shown] == [None, 20, 15, 5, None, 20.5]
    assert shown[3].documents_a_second == 10


def test_plain_lines_come_every_ten_seconds():
    now, out = [0.0], io.StringIO()
    running = Running(out, clock=lambda: now[0])
    for second in range(25):
        now[0] = float(second)
        running.state(STATE)
    first, *rest = out.getvalue().splitlines()
    assert first == "going on: 100 documents were done before"
    assert rest == 3 * [
        "300 of about 1,000 documents, 4,000 passages, 10 errors; 10.0 documents/s, "
        "150 passages/s; 70 s left"
    ]


def test_a_terminal_has_one_line_that_goes_away():
    out = Terminal()
    running = Running(out)
    running.state(STATE)
    running.clear()
    _, drawn = out.getvalue().split("\n")
    assert drawn.startswith("\r\x1b[K[#######.................] 300 of about 1,000")
    assert out.getvalue().endswith("\r\x1b[K")


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0 s"), (99, "99 s"), (120, "2 min"), (7860, "2 h 11 min"), (360000, "4 days 4 h")],
)
def test_durations(seconds, said):
    assert duration(seconds) == said


def test_a_plan_that_measured_nothing():
    seen = Overview((Shape(None, 2, "x.csv"),), 0, 2, True)
    lines = plan_lines(Plan(2, 1_500_000, 1, seen, 0.0, 0.0), 4)
    assert lines == [
        "2 files, 1.5 MB, 2 documents (1 hidden entry left out)",
        "x.csv and 1 file like it: no text column found",
        "nothing at the beginning of the input could be scored",
    ]


def test_a_few_kilobytes_are_not_nothing():
    (line, _) = plan_lines(Plan(9, 12_345, 0, Overview((), 0, 9, True), 0.0, 0.0), 1)
    assert line == "9 files, 12.3 kB, 9 documents"


@pytest.mark.parametrize(
    ("seconds", "workers", "rate"),
    [
        ([4.0], 1, 2),  # one shard: the start is part of it
        ([3.9999, 4.0], 2, 4),  # two at once: what lies between them is no time
        ([2.0, 2.1, 2.2], 1, pytest.approx(24 / 2.2)),
        ([4.0, 5.0, 6.0], 1, 8),
        ([4.0, 4.0, 5.0], 2, 4.8),
        ([4.0, 4.0, 5.0, 5.0], 2, 16),
    ],
)
def test_the_pace_of_a_dry_run(seconds, workers, rate):
    came = [(at, Counts(scored=8 * n, passages=80 * n)) for n, at in enumerate(seconds, 1)]
    documents, passages = _pace(came, workers)
    assert documents == rate
    assert passages == pytest.approx(10 * documents)


def test_plan_measures(corpus, bundle):
    planned = plan([str(corpus)], model=bundle, options=OPTIONS)
    assert planned.overview.documents == 62
    assert planned.seconds > 0


def test_the_summary_counts_the_reasons(tmp_path, bundle):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text("The port was closed on Monday, the ministry said.")
    (tmp_path / "in" / "b.txt").write_text("")
    (tmp_path / "in" / "c.txt").write_bytes(bytes(range(256)) * 9)
    done = run([str(tmp_path / "in")], tmp_path / "out", model=bundle)
    assert done.reasons == {"empty": 1, "binary": 1}
    assert done.examples.keys() == done.reasons.keys()
    assert done.examples["empty"].startswith("b.txt: the file is empty")


def _ended(summary):
    out = io.StringIO()
    Running(out).summary(summary)
    return out.getvalue().splitlines()


def test_the_summary_gives_an_example_of_every_reason():
    counts = Counts(copies=1, errors=3)
    examples = {"empty": "a.txt: the file is empty", "malformed": "b.csv, line 2: 3 fields"}
    done = Summary(
        Path("out"), 4, counts, Counts(), 1, 0, 2.0, {"empty": 2, "malformed": 1}, examples
    )
    assert _ended(done) == [
        "4 rows in = 0 scored + 1 copy + 3 errors",
        "0 passages in out",
        "4 documents in 2 s: 2.0 documents/s, 0 passages/s",
        "errors, a row each: framing export out -o errors.csv --table errors",
        "  2 empty: such as a.txt: the file is empty",
        "  1 malformed: b.csv, line 2: 3 fields",
    ]
    one = replace(done, rows_in=1, counts=Counts(errors=1))
    assert _ended(one)[0] == "1 row in = 0 scored + 1 error"
    assert "all of it was there already" in _ended(replace(done, before=counts))


def test_a_part_without_documents_says_so(tmp_path, bundle):
    (tmp_path / "a.txt").write_text(article(1))
    done = run([str(tmp_path / "a.txt")], tmp_path / "out", model=bundle, part=(2, 3))
    assert _ended(done)[-1].startswith("this part holds no documents")


# --- what is refused at the start -------------------------------------------------------------


@pytest.mark.parametrize("dry", [[], ["--dry-run"]])
def test_a_column_that_is_not_there_is_refused_with_those_that_are(tmp_path, bundle, dry):
    (tmp_path / "y.csv").write_text("id,body\n1,The port was closed on Monday.\n")
    ended = framing_run(
        tmp_path / "y.csv", "-o", tmp_path / "out", "-m", bundle, "--text-column", "bod", *dry
    )
    assert ended.returncode == 2
    (line,) = [line for line in ended.stderr.splitlines() if line.startswith("framing: ")]
    assert "text from 'bod': y.csv: " in line
    assert "id, body" in line
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("dry", [[], ["--dry-run"]])
@pytest.mark.parametrize(
    ("package", "args", "said"),
    [
        ("warcio", ["w.warc.gz"], 'w.warc.gz takes one more package.*"framing[warc]"'),
        ("pypdfium2", ["."], 'a.pdf takes one more package.*"framing[pdf]"'),
        ("ray", ["w.warc.gz", "--engine", "ray"], '--engine ray needs Ray.*"framing[ray]"'),
    ],
)
def test_a_missing_extra_is_said_before_anything_is_read(
    tmp_path, monkeypatch, bundle, package, args, said, dry
):
    name = "a.pdf" if package == "pypdfium2" else "w.warc.gz"
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / name).write_bytes(b"not looked at")
    monkeypatch.chdir(tmp_path / "in")
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.setattr("framing.corpus.inputs._measured", None)
    ended = CliRunner().invoke(app, ["run", *args, "-o", "../out", "-m", bundle, *dry])
    assert ended.exit_code == 2
    before, after = said.split(".*")
    assert before in ended.stderr
    assert ended.stderr.endswith(f"pip install {after}\n")
    assert not (tmp_path / "out").exists()


def test_an_extra_that_some_files_take_is_a_line():
    seen = Overview((), 0, 9, True, (Lack("pdf", 2, "in/a.pdf"),))
    assert overview_lines(seen) == [
        "2 files such as in/a.pdf cannot be read without one more package: "
        'pip install "framing[pdf]"'
    ]
