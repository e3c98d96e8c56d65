"""`framing run` as a command: how it ends, what it prints, how it shows itself."""

import io
import json

import pytest
from runs import OPTIONS, article, framing_run

from framing.corpus.run import Plan, State, plan, run
from framing.corpus.survey import Overview, Shape
from framing.corpus.tables import Counts
from framing.show.running import Running, duration, plan_lines


def test_the_command_sums_up_and_goes_by_its_exit_code(tmp_path, corpus, bundle):
    ended = framing_run(corpus, "-o", tmp_path / "out", "-m", bundle, "--workers", 1)
    assert ended.returncode == 1
    assert "53 scored + 9 errors" in ended.stderr
    assert "a.jsonl: text from 'text', title from 'title', id from 'id'" in ended.stderr
    assert ended.stdout == ""
    good = framing_run(corpus / "pages" / "000.txt", "-o", tmp_path / "good", "-m", bundle)
    assert good.returncode == 0
    assert "1 rows in = 1 scored + 0 errors" in good.stderr


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
)


def test_rates_are_those_of_this_session():
    assert STATE.documents_a_second == 10
    assert STATE.passages_a_second == 150
    assert STATE.seconds_left == 70
    assert State("scoring").seconds_left is None


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
