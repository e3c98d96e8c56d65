"""What a run goes on with, what it refuses, and what it leaves alone."""

import fcntl
import shutil
from dataclasses import replace

import pytest
from runs import (
    OPTIONS,
    written,
)
from tiny import make_bundle

import framing
from framing.corpus.files import Busy, lock
from framing.corpus.inputs import InputError
from framing.corpus.manifest import RunRefused
from framing.corpus.run import RowsLost, run
from framing.corpus.scoring import RunOptions
from framing.model.bundle import BundleError
from framing.text.columns import Choice


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
    ("field", "words"),
    [
        ("unit", "--unit: paragraph then, sentence now"),
        ("min_confidence", "--min-confidence: not given then, 0.9 now"),
        ("documents", "--shard-documents: 16 then, 17 now"),
        ("include_text", "--include-text: not given then, given now"),
        ("columns.text", "--text-column: not given then, body now"),
    ],
)
def test_another_option_is_refused_by_name(copy_of, corpus, bundle, field, words):
    was = written(copy_of)
    with pytest.raises(RunRefused, match=rf"begun otherwise \({words}\): .*--restart"):
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
    refused(
        r"--model: tiny \(\w{12}…\) then, tiny \(\w{12}…\) now",
        model=str(tmp_path / "other"),
    )
    refused(r"--shard: 1/1 then, 1/2 now", part=(1, 2))
    monkeypatch.setattr("framing.corpus.environment.__version__", "9.9")
    refused(r"\(framing: 0\.1\.0 then, 9\.9 now")
    assert written(copy_of) == was


def test_all_that_differs_is_named_at_once(tmp_path, copy_of, corpus, bundle):
    shutil.copytree(corpus, tmp_path / "corpus")
    for path in (tmp_path / "corpus" / "pages").glob("*.txt"):
        path.unlink()
    make_bundle(tmp_path / "other", max_tokens=16)
    with pytest.raises(RunRefused) as refused:
        run(
            [str(tmp_path / "corpus")],
            copy_of,
            model=str(tmp_path / "other"),
            options=replace(OPTIONS, unit="sentence", columns=Choice(id="b")),
            part=(1, 2),
        )
    for what in (
        "--model: tiny (",
        "; --unit: paragraph then, sentence now; ",
        "; --id-column: not given then, b now; ",
        "; --shard: 1/1 then, 1/2 now; ",
        "input file pages/000.txt: there then, absent now",
        "state of 5 more input files: as in sources.jsonl then, another now",
        "): put that back, name another folder after -o, or begin anew with --restart",
    ):
        assert what in str(refused.value)
    assert "framing" not in str(refused.value).split("was begun otherwise")[1]  # what is as it was
    assert "\n" not in str(refused.value)


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


class Stop(BaseException):
    """A signal."""


def _no_bundle(tmp_path, **_):
    run([str(tmp_path)], tmp_path / "new" / "out", model=str(tmp_path))


def _nothing_to_read(tmp_path, bundle, **_):
    run([str(tmp_path / "empty")], tmp_path / "new" / "out", model=bundle)


def _no_such_column(tmp_path, bundle, corpus, **_):
    options = RunOptions(columns=Choice(text="nope"))
    run([str(corpus)], tmp_path / "new" / "out", model=bundle, options=options)


def _stopped_before_the_first_commit(tmp_path, bundle, corpus, monkeypatch):
    def stop(*_):
        raise Stop

    monkeypatch.setattr("framing.corpus.run.manifest.commit", stop)
    run([str(corpus)], tmp_path / "new" / "out", model=bundle)


STARTS = [_no_bundle, _nothing_to_read, _no_such_column, _stopped_before_the_first_commit]


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("there", ["nothing", "folder", "leftovers"])
def test_a_start_in_vain_leaves_nothing(tmp_path, bundle, corpus, monkeypatch, start, there):
    if there != "nothing":
        (tmp_path / "new" / "out").mkdir(parents=True)
    if there == "leftovers":  # of a start that was killed
        for name in (".lock", "log.jsonl"):
            (tmp_path / "new" / "out" / name).touch()
    (tmp_path / "empty").mkdir(exist_ok=True)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises((RunRefused, BundleError, InputError, Stop)):
        start(tmp_path=tmp_path, bundle=bundle, corpus=corpus, monkeypatch=monkeypatch)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_run_that_has_begun_stays_where_it_stops(tmp_path, bundle, corpus, monkeypatch):
    commit = framing.corpus.manifest.commit

    def stop(out, entry, tables):
        if entry.shard == 1:
            raise Stop
        commit(out, entry, tables)

    with monkeypatch.context() as patch:
        patch.setattr("framing.corpus.run.manifest.commit", stop)
        with pytest.raises(Stop):
            run([str(corpus)], tmp_path / "out", model=bundle, options=OPTIONS)
    again = run([str(corpus)], tmp_path / "out", model=bundle, options=OPTIONS)
    assert again.before.documents == 16


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


def test_a_lock_that_its_holder_removed_is_taken_anew(tmp_path, monkeypatch):
    flock, out = fcntl.flock, tmp_path / "out"

    def late(file, how):  # the holder leaves, with all that it made, just before the lock is taken
        monkeypatch.undo()
        shutil.rmtree(out)
        flock(file, how)

    monkeypatch.setattr(fcntl, "flock", late)
    with lock(out):
        assert (out / ".lock").exists()
        with pytest.raises(Busy), lock(out):
            pass


def test_two_in_one_folder(tmp_path, corpus, bundle):
    (tmp_path / "out").mkdir()
    with lock(tmp_path / "out"), pytest.raises(Busy, match="another run is writing to it"):
        run([str(corpus)], tmp_path / "out", model=bundle)


def test_columns_that_no_table_has_are_refused_at_once(tmp_path, bundle):
    (tmp_path / "in.csv").write_text("id,body\n1,The port was closed on Monday.\n")
    options = RunOptions(columns=Choice(text="nope"))
    with pytest.raises(RunRefused, match=r"text from 'nope'.*in\.csv"):
        run([str(tmp_path / "in.csv")], tmp_path / "out", model=bundle, options=options)
    done = run([str(tmp_path / "in.csv")], tmp_path / "out", model=bundle)
    assert done.counts.scored == 1
