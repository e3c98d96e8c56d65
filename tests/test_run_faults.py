"""Whatever stops a run between two system calls, the same command ends where it would have."""

import errno
import json
import os
import random
from dataclasses import dataclass

import pytest
from runs import make_corpus, written
from tiny import make_bundle

from framing.cli.ending import MACHINE_FAILED, told
from framing.corpus import files
from framing.corpus import run as running
from framing.corpus.scoring import RunOptions
from framing.corpus.survey import Overview
from framing.corpus.work import Pool

OPTIONS = RunOptions(documents=16)
DIED = 9
CALLS = ("create", "write", "fsync", "replace", "truncate", "mkdir", "unlink", "rmdir")


@dataclass
class Fault:
    """The `at`-th system call (from 0) goes wrong as `how` says; all after it too, if `lasting`."""

    at: int
    how: str
    lasting: bool = True


class Faulty(files.System):
    """System calls that count themselves and fail at the right moment."""

    def __init__(self, fault=None):
        self.made, self.fault, self.failed = 0, fault, False


def _faulty(name):
    # Waiting for the disk shows nothing here and takes nearly all the time.
    real = getattr(files.System, name) if name != "fsync" else lambda *_: None

    def call(self, *args):
        number, fault = self.made, self.fault
        self.made += 1
        if fault is None or number < fault.at or (self.failed and not fault.lasting):
            return real(self, *args)
        self.failed = True
        if fault.how in ("dies", "dies inside"):
            if fault.how == "dies inside" and name == "write":
                os.write(args[0], args[1][: len(args[1]) // 2])
            elif fault.how == "dies inside":
                real(self, *args)
            os._exit(DIED)
        if fault.how == "writes short":
            return real(self, args[0], args[1][:3]) if name == "write" else real(self, *args)
        if name == "write" and number == fault.at:
            os.write(args[0], args[1][: len(args[1]) // 2])
        raise OSError(getattr(errno, fault.how), os.strerror(getattr(errno, fault.how)))

    return call


for _name in CALLS:
    setattr(Faulty, _name, _faulty(_name))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """The input, the bundle, what the workers make of it, and an undisturbed run."""
    folder = tmp_path_factory.mktemp("faults")
    corpus = make_corpus(folder / "corpus")
    make_bundle(folder / "tiny")
    recorded = []

    class Recording(Pool):
        def results(self, tick=1.0):
            for done in super().results(tick):
                recorded.append(done)
                yield done

    running.run(
        [str(corpus)],
        folder / "whole",
        model=str(folder / "tiny"),
        options=OPTIONS,
        engine=Recording,
    )
    return folder, [done for done in recorded if done is not None], written(folder / "whole")


@pytest.fixture
def start(corpus, monkeypatch, tmp_path):
    """Run with a fault, in a process of its own where that may die; the workers' part is replayed.

    Returns how it ended (0, DIED or an exception) and how many system calls were made.
    """
    folder, recorded, _ = corpus

    class Replay:
        def __init__(self, task, feed, workers=1, limits=None):
            self.feed = feed

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def results(self, tick=1.0):
            rest = [done for done in recorded if done.number >= self.feed.number]
            assert not rest or rest[0].first == self.feed.start or self.feed.number == 0
            yield from rest

    monkeypatch.setattr(running, "overview", lambda *_: Overview((), 0, 0, True))

    def start(out, fault=None, restart=False):
        system = Faulty(fault)
        monkeypatch.setattr(files, "system", system)

        def work():
            running.run(
                [str(folder / "corpus")],
                out,
                model=str(folder / "tiny"),
                options=OPTIONS,
                restart=restart,
                engine=Replay,
            )

        if fault is not None and fault.how.startswith("dies"):
            if (child := os.fork()) == 0:
                try:
                    work()
                finally:
                    os._exit(0)
            return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), system.made
        try:
            work()
        except OSError as error:
            return error, system.made
        return 0, system.made

    return start


def test_there_is_something_to_go_wrong(corpus, start, tmp_path):
    _, recorded, whole = corpus
    ended, calls = start(tmp_path / "out")
    assert ended == 0
    assert calls > 60
    assert len(recorded) >= 4
    assert written(tmp_path / "out") == whole
    assert sum(name.startswith("errors/") for name in whole) >= 2


# every third step, or all of them
STEPS = pytest.mark.parametrize("stride", [3, pytest.param(1, marks=pytest.mark.long)])


@STEPS
@pytest.mark.parametrize("how", ["dies", "dies inside"])
def test_death_at_every_step(corpus, start, tmp_path, how, stride):
    _, calls = start(tmp_path / "count")
    for at in range(stride - 1, calls, stride):
        out = tmp_path / str(at)
        assert start(out, Fault(at, how))[0] == DIED
        assert start(out)[0] == 0
        assert written(out) == corpus[2], f"after death at step {at}"


@STEPS
def test_death_at_every_step_of_a_start_in_vain(corpus, start, tmp_path, monkeypatch, stride):
    """Also while what it has made is taken back."""

    def fails(*_):
        raise OSError(errno.EIO, os.strerror(errno.EIO), "passages")

    with monkeypatch.context() as patch:
        patch.setattr(running.manifest, "commit", fails)
        error, calls = start(tmp_path / "vain")
        assert error.errno == errno.EIO
        assert not list(tmp_path.iterdir())
        steps = range(stride - 1, calls, stride)
        for at in steps:
            assert start(tmp_path / str(at), Fault(at, "dies"))[0] == DIED
    for at in steps:
        assert start(tmp_path / str(at))[0] == 0
        assert written(tmp_path / str(at)) == corpus[2], f"after death at step {at}"


@STEPS
@pytest.mark.parametrize("how", ["ENOSPC", "EIO", "EDQUOT", "EFBIG"])
def test_an_error_of_the_machine_at_every_step(corpus, start, tmp_path, how, stride):
    _, calls = start(tmp_path / "count")
    for at in range(stride - 1, calls, stride):
        out = tmp_path / str(at)
        error, _ = start(out, Fault(at, how, lasting=at % 2 == 0))
        if error != 0:  # 0: all that failed is the last note in the log of times
            code, line = told(error)
            assert code == MACHINE_FAILED, error
            assert "\n" not in line
            assert str(out.parent) in line
        assert start(out)[0] == 0
        assert written(out) == corpus[2], f"after {how} at step {at}"


def test_short_writes_are_finished(corpus, start, tmp_path):
    out = tmp_path / "out"
    ended, calls = start(out, Fault(0, "writes short"))
    assert ended == 0
    assert calls > 1000
    assert written(out) == corpus[2]


@pytest.mark.parametrize("trials", [15, pytest.param(300, marks=pytest.mark.long)])
def test_death_upon_death(corpus, start, tmp_path, trials):
    """Several times in a row, also while it resumes and while it begins anew."""
    _, calls = start(tmp_path / "count")
    draw = random.Random(trials)
    for trial in range(trials):
        out = tmp_path / str(trial)
        for _ in range(draw.randint(2, 5)):
            how = draw.choice(["dies", "dies inside", "ENOSPC"])
            start(out, Fault(draw.randrange(calls), how), restart=draw.random() < 0.2)
        assert start(out)[0] == 0
        assert written(out) == corpus[2], f"trial {trial}"


def test_what_the_manifest_does_not_list_is_removed(corpus, start, tmp_path):
    out = tmp_path / "out"
    start(out)
    for name in ("passages/00000099.parquet", "documents/.00000099.parquet.part"):
        (out / name).write_bytes(b"half a file")
    (out / "passages" / "notes.txt").write_text("mine")
    assert start(out)[0] == 0
    (out / "passages" / "notes.txt").unlink()
    assert written(out) == corpus[2]


def test_a_torn_last_line_is_cut_off(corpus, start, tmp_path):
    out = tmp_path / "out"
    start(out)
    lines = (out / "manifest.jsonl").read_bytes().splitlines(keepends=True)
    for keep in (0, 1, len(lines) - 2):
        (out / "manifest.jsonl").write_bytes(b"".join(lines[:keep]) + lines[keep][:-5])
        assert start(out)[0] == 0
        assert written(out) == corpus[2]


def test_the_manifest_tells_what_lies_there(corpus):
    folder, _, whole = corpus
    rows = [json.loads(line) for line in (folder / "whole" / "manifest.jsonl").open()]
    *shards, totals = rows
    listed = {name: about["sha256"] for row in shards for name, about in row["files"].items()}
    assert listed == {name: digest for name, digest in whole.items() if "/" in name}
    for name in ("documents", "scored", "copies", "errors", "passages"):
        assert totals[name] == sum(row[name] for row in shards)
    assert [row["next"] for row in shards[:-1]] == [row["first"] for row in shards[1:]]
    assert totals["complete"] is True
    assert totals["shards"] == len(shards)
