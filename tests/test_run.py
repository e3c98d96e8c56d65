"""A run from input to tables: what is in them, what it goes on with, and what it refuses."""

import io
import json
import shutil
import subprocess
import time
from dataclasses import replace

import pyarrow.parquet as pq
import pytest
from runs import (
    ENVIRONMENT,
    article,
    command,
    framing_run,
    make_corpus,
    processes_of,
    written,
)
from tiny import LABELS, make_bundle

import framing
from framing.corpus.files import Busy, lock
from framing.corpus.manifest import RunRefused
from framing.corpus.run import Plan, RowsLost, State, plan, run
from framing.corpus.scoring import RunOptions
from framing.corpus.survey import Overview, Shape
from framing.corpus.tables import Counts
from framing.model.bundle import BundleError
from framing.show.running import Running, duration, plan_lines
from framing.text.columns import Choice
from framing.text.document import Failure, Reason
from framing.text.readers import read_documents

OPTIONS = RunOptions(documents=16)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundle") / "tiny"
    make_bundle(folder)
    return str(folder)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return make_corpus(tmp_path_factory.mktemp("corpus") / "corpus")


@pytest.fixture(scope="module")
def done(tmp_path_factory, corpus, bundle):
    """A finished run and its summary."""
    out = tmp_path_factory.mktemp("done") / "out"
    return out, run([str(corpus)], out, model=bundle, options=OPTIONS)


@pytest.fixture
def copy_of(done, tmp_path):
    """The finished run in a place where it can be spoilt."""
    shutil.copytree(done[0], tmp_path / "out")
    return tmp_path / "out"


def rows(out, table):
    return pq.read_table(out / table).to_pylist()


# --- what is in the tables --------------------------------------------------------------------


def test_every_document_has_a_row_and_every_row_a_key_of_its_own(done, corpus):
    out, summary = done
    documents, errors = rows(out, "documents"), rows(out, "errors")
    keys = [(row["source_file"], row["position"]) for row in documents + errors]
    expected = sum(1 for path in corpus.rglob("*") if path.is_file() for _ in read_documents(path))
    assert len(set(keys)) == len(keys) == expected == summary.rows_in
    passages = sum(row["passages"] + row["set_aside_passages"] for row in documents)
    assert summary.counts == Counts(len(documents), 0, len(errors), passages)
    assert len(rows(out, "passages")) == passages


def test_the_tables_say_what_score_says(done, corpus, bundle):
    out, _ = done
    model = framing.load(bundle)
    documents = {(row["source_file"], row["position"]): row for row in rows(out, "documents")}
    passages = {}
    for row in rows(out, "passages"):
        passages.setdefault((row["source_file"], row["position"]), []).append(row)
    for name in ("a.jsonl", "pages/good.html", "pages/000.txt"):
        for position, document in enumerate(read_documents(corpus / name)):
            if isinstance(document, Failure):
                continue
            scored, row = model.score(document), documents[name, position]
            profile = scored.profile
            assert row["id"] == (document.id if name == "a.jsonl" else name)
            for field in ("title", "source", "date", "author", "body_start"):
                assert row[field] == getattr(document, field)
            assert row["language"] == "en"
            assert row["read_share"] == scored.read_share
            for field in ("passages", "words", "set_aside_passages", "set_aside_words"):
                assert row[field] == getattr(profile, field)
            for label in ("alarm", "hope"):
                assert row[f"share_{label}"] == profile.labels[label].passages
                assert row[f"word_share_{label}"] == profile.labels[label].words
                assert row[f"unsure_{label}"] == profile.labels[label].unsure
            assert "share_advert" not in row
            assert len(passages[name, position]) == len(scored.passages)
            for number, (got, passage) in enumerate(
                zip(passages[name, position], scored.passages, strict=True)
            ):
                assert got["passage"] == number
                assert (got["start"], got["end"]) == (passage.start, passage.end)
                assert got["kind"] == passage.kind
                assert tuple(got["labels"]) == passage.labels
                assert tuple(got["unsure"]) == passage.unsure
                assert got["words"] == passage.words
                assert {x: got[f"p_{x}"] for x in LABELS} == passage.probabilities
                assert "text" not in got


def test_errors_tell_why(done):
    reasons = {(row["source_file"], row["reason"]) for row in rows(done[0], "errors")}
    assert reasons == {
        ("a.jsonl", Reason.MALFORMED),
        ("a.jsonl", Reason.NO_TEXT),
        ("pages/broken.pdf", Reason.TRUNCATED),
        ("pages/empty.txt", Reason.EMPTY),
    }
    for row in rows(done[0], "errors"):
        assert row["message"]
        if row["source_file"] == "a.jsonl":
            assert row["where"].startswith("line ")


def test_every_file_tells_what_made_it(done, bundle):
    for path in done[0].glob("*/*.parquet"):
        about = json.loads(pq.read_schema(path).metadata[b"framing"])
        assert about["schema"] == "framing.run/1"
        assert about["table"] == path.parent.name
        assert about["provenance"]["bundle"]["fingerprint"] == framing.load(bundle).fingerprint
        assert about["provenance"]["options"]["documents"] == 16


def test_text_is_there_where_it_is_asked_for(tmp_path, corpus, bundle):
    run(
        [str(corpus / "pages" / "000.txt")],
        tmp_path / "out",
        model=bundle,
        options=RunOptions(include_text=True),
    )
    (document,) = read_documents(corpus / "pages" / "000.txt")
    for row in rows(tmp_path / "out", "passages"):
        assert row["text"] == document.text[row["start"] : row["end"]]


def test_a_language_the_model_does_not_read_is_an_error_that_keeps_its_id(tmp_path, bundle):
    french = (
        "Le ministre a déclaré mardi que le pont serait ouvert au mois de mars et que les travaux "
        "avaient coûté douze millions d'euros, selon un communiqué publié à Paris."
    )
    lines = [{"id": "en", "text": article(1)}, {"id": "fr", "text": french}]
    (tmp_path / "in.jsonl").write_text("\n".join(map(json.dumps, lines)))
    run([str(tmp_path / "in.jsonl")], tmp_path / "out", model=bundle)
    (error,) = rows(tmp_path / "out", "errors")
    assert (error["id"], error["reason"], error["position"]) == ("fr", Reason.LANGUAGE, 1)
    options = RunOptions(any_language=True)
    run([str(tmp_path / "in.jsonl")], tmp_path / "all", model=bundle, options=options)
    assert len(rows(tmp_path / "all", "documents")) == 2
    assert not list((tmp_path / "all" / "errors").iterdir())


def test_columns_can_be_named(tmp_path, bundle):
    (tmp_path / "in.csv").write_text(f'a,b,text,d\nx1,Gazette,teaser,"{article(1, 1)}"\n')
    options = RunOptions(columns=Choice(text="d", id="a", source="b"))
    run([str(tmp_path / "in.csv")], tmp_path / "out", model=bundle, options=options)
    (row,) = rows(tmp_path / "out", "documents")
    assert (row["id"], row["source"]) == ("x1", "Gazette")
    assert row["words"] + row["set_aside_words"] == len(article(1, 1).split())


@pytest.mark.parametrize(("workers", "documents"), [(1, 5), (2, 7), (2, 1000)])
def test_rows_do_not_depend_on_workers_or_shards(
    tmp_path, done, corpus, bundle, workers, documents
):
    out = tmp_path / "out"
    options = replace(OPTIONS, documents=documents)
    run([str(corpus)], out, model=bundle, options=options, workers=workers)
    for table in ("passages", "documents", "errors"):
        assert rows(out, table) == rows(done[0], table)


def test_the_parts_of_a_divided_run_are_those_of_an_undivided_one(tmp_path, done, corpus, bundle):
    tables = {}
    for part in ((1, 3), (2, 3), (3, 3)):
        out = tmp_path / str(part[0])
        run([str(corpus)], out, model=bundle, options=OPTIONS, part=part)
        mine = {name: digest for name, digest in written(out).items() if "/" in name}
        assert not tables.keys() & mine.keys()
        assert {int(name[-16:-8]) % 3 for name in mine} <= {part[0] - 1}
        tables |= mine
    assert tables == {name: digest for name, digest in written(done[0]).items() if "/" in name}


def test_nothing_but_bad_documents(tmp_path, bundle):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "empty.txt").write_bytes(b"")
    summary = run([str(tmp_path / "in")], tmp_path / "out", model=bundle)
    assert (summary.rows_in, summary.counts) == (1, Counts(errors=1))
    assert rows(tmp_path / "out", "passages") == rows(tmp_path / "out", "documents") == []


# --- going on and refusing --------------------------------------------------------------------


def test_a_finished_run_is_left_as_it_is(done, corpus, bundle):
    out, summary = done
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.suffix != ".jsonl"}
    again = run([str(corpus)], out, model=bundle, options=OPTIONS, workers=3)
    assert again.counts == again.before == summary.counts
    after = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.suffix != ".jsonl"}
    assert after == before


def _changed(field):
    return {
        "unit": replace(OPTIONS, unit="sentence"),
        "min_confidence": replace(OPTIONS, min_confidence=0.9),
        "documents": replace(OPTIONS, documents=17),
        "include_text": replace(OPTIONS, include_text=True),
        "columns.text": replace(OPTIONS, columns=Choice(text="body")),
    }[field]


@pytest.mark.parametrize(
    "field", ["unit", "min_confidence", "documents", "include_text", "columns.text"]
)
def test_another_option_is_refused_by_name(copy_of, corpus, bundle, field):
    was = written(copy_of)
    words = rf"another options\.{field} \(--.*\): .* then, .* now.*--restart"
    with pytest.raises(RunRefused, match=words):
        run([str(corpus)], copy_of, model=bundle, options=_changed(field))
    assert written(copy_of) == was


def test_another_input_bundle_version_or_part_is_refused_by_name(
    tmp_path, copy_of, corpus, bundle, monkeypatch
):
    def refused(named, inputs=str(corpus), **other):
        with pytest.raises(RunRefused, match=named) as error:
            run([inputs], copy_of, **{"model": bundle, "options": OPTIONS} | other)
        assert "\n" not in str(error.value)

    was = written(copy_of)
    changed = tmp_path / "corpus"
    shutil.copytree(corpus, changed)
    (changed / "b.csv").write_text("id,text\n1,The city said nothing of the river at all.\n")
    refused(r"size of input file b\.csv: \d+ then", str(changed))
    shutil.copy(corpus / "b.csv", changed / "b.csv")
    text = (changed / "pages" / "001.txt").read_text()
    (changed / "pages" / "001.txt").write_text(text.swapcase())
    refused(r"sha256 of input file pages/001\.txt", str(changed))
    (changed / "pages" / "001.txt").write_text(text)
    (changed / "new.txt").write_text("new")
    refused(r"input file new\.txt: absent then, there now", str(changed))
    (changed / "new.txt").unlink()
    (changed / "a.jsonl").unlink()
    refused(r"input file a\.jsonl: there then, absent now", str(changed))
    make_bundle(tmp_path / "other", max_tokens=16)
    refused(r"another bundle\.(fingerprint|name)", model=str(tmp_path / "other"))
    refused(r"another part", part=(1, 2))
    monkeypatch.setattr("framing.corpus.environment.__version__", "9.9")
    refused(r"another framing: 0\.1\.0 then, 9\.9 now")
    assert written(copy_of) == was


def test_restart_begins_anew(tmp_path, copy_of, corpus, bundle):
    options = replace(OPTIONS, documents=40)
    run([str(corpus)], copy_of, model=bundle, options=options, restart=True)
    run([str(corpus)], tmp_path / "fresh", model=bundle, options=options)
    assert written(copy_of) == written(tmp_path / "fresh")


def test_a_folder_of_something_else_is_left_alone(tmp_path, corpus, bundle):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    for restart in (False, True):
        with pytest.raises(RunRefused, match=r"thesis\.txt"):
            run([str(corpus)], tmp_path / "mine", model=bundle, restart=restart)
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


def test_a_file_in_place_of_the_folder(tmp_path, corpus, bundle):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(RunRefused, match="out is a file"):
        run([str(corpus)], tmp_path / "out", model=bundle)


def test_a_folder_inside_the_input_is_refused(corpus, bundle):
    with pytest.raises(RunRefused, match="lies in the input"):
        run([str(corpus)], corpus / "out", model=bundle)
    assert not (corpus / "out").exists()


def test_files_that_were_spoilt_or_lost_are_named(copy_of, corpus, bundle):
    def refused(named):
        with pytest.raises(RunRefused, match=named):
            run([str(corpus)], copy_of, model=bundle, options=OPTIONS)

    path = copy_of / "passages" / "00000001.parquet"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    refused(r"passages/00000001\.parquet is not the file that the run wrote")
    path.write_bytes(whole)
    lines = (copy_of / "manifest.jsonl").read_bytes().splitlines(keepends=True)
    (copy_of / "manifest.jsonl").write_bytes(lines[0] + b"{}\n" + b"".join(lines[2:]))
    refused(r"manifest\.jsonl, line 2: damaged")
    (copy_of / "manifest.jsonl").unlink()
    refused(r"manifest\.jsonl is gone")
    (copy_of / "run.json").write_text("{")
    refused(r"run\.json is damaged")
    anew = run([str(corpus)], copy_of, model=bundle, options=OPTIONS, restart=True)
    assert anew.counts.documents == 62


def test_a_bundle_swapped_in_the_middle_is_refused(tmp_path, corpus, monkeypatch):
    make_bundle(tmp_path / "tiny")
    real = framing.corpus.run.overview

    def swap(*args):
        shutil.rmtree(tmp_path / "tiny")
        make_bundle(tmp_path / "tiny", max_tokens=16)
        return real(*args)

    monkeypatch.setattr("framing.corpus.run.overview", swap)
    with pytest.raises(BundleError, match="no longer the bundle the run began with"):
        run([str(corpus)], tmp_path / "out", model=str(tmp_path / "tiny"), options=OPTIONS)


def test_a_lost_row_ends_the_run(tmp_path, corpus, bundle, monkeypatch):
    real = framing.corpus.run.Pool.results

    def losing(self, tick=1.0):
        for done in real(self, tick):
            yield done and replace(done, items=done.items + 1)

    monkeypatch.setattr("framing.corpus.run.Pool.results", losing)
    with pytest.raises(RowsLost, match="17 documents were read and 16 have a row"):
        run([str(corpus)], tmp_path / "out", model=bundle, options=OPTIONS)


def test_two_in_one_folder(tmp_path, corpus, bundle):
    (tmp_path / "out").mkdir()
    with lock(tmp_path / "out"), pytest.raises(Busy, match="another run is writing to it"):
        run([str(corpus)], tmp_path / "out", model=bundle)


# --- the command ------------------------------------------------------------------------------


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


def test_a_refused_bundle(tmp_path, corpus):
    ended = framing_run(corpus, "-o", tmp_path / "out", "-m", tmp_path)
    assert ended.returncode == 3


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


def test_columns_that_no_table_has_are_refused_at_once(tmp_path, bundle):
    (tmp_path / "in.csv").write_text("id,body\n1,The port was closed on Monday.\n")
    options = RunOptions(columns=Choice(text="nope"))
    with pytest.raises(RunRefused, match=r"text from 'nope'.*in\.csv"):
        run([str(tmp_path / "in.csv")], tmp_path / "out", model=bundle, options=options)
    done = run([str(tmp_path / "in.csv")], tmp_path / "out", model=bundle)
    assert done.counts.scored == 1


def test_the_summary_counts_the_reasons(tmp_path, bundle):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text("The port was closed on Monday, the ministry said.")
    (tmp_path / "in" / "b.txt").write_text("")
    (tmp_path / "in" / "c.txt").write_bytes(bytes(range(256)) * 9)
    done = run([str(tmp_path / "in")], tmp_path / "out", model=bundle)
    assert done.reasons == {"empty": 1, "binary": 1}


# --- memory -----------------------------------------------------------------------------------


@pytest.mark.long
def test_memory_does_not_grow_with_the_corpus(tmp_path, bundle):
    """A million passages of the tiny bundle, all processes together."""
    lines = [json.dumps({"id": str(i), "text": article(i, 25)}) for i in range(500)]
    with (tmp_path / "in.jsonl").open("w") as file:
        for _ in range(80):
            file.writelines(line + "\n" for line in lines)
    out = tmp_path / "out"
    process = subprocess.Popen(
        command(tmp_path / "in.jsonl", "-o", out, "-m", bundle, "--workers", 1),
        stderr=subprocess.DEVNULL,
        env=ENVIRONMENT,
        start_new_session=True,
    )
    early, late = 0, 0
    while process.poll() is None:
        time.sleep(0.2)
        resident = sum(processes_of(process.pid).values())
        manifest = out / "manifest.jsonl"
        done = manifest.read_bytes().count(b"\n") if manifest.exists() else 0
        if 5 <= done < 16:
            early = max(early, resident)
        elif done >= 16:
            late = max(late, resident)
    assert process.returncode == 0
    assert early
    assert late < 1.05 * early
