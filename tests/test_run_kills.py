"""Real processes, really killed: what a run wrote is the same to the byte in the end."""

import os
import random
import resource
import signal
import subprocess
import time

import pytest
from runs import ENVIRONMENT, command, framing_run, make_corpus, processes_of, written
from tiny import make_bundle

SOME_FAILED = 1  # the corpus has bad rows


class Corpus:
    """The input, the arguments of the run, how long it takes, and what it writes undisturbed."""

    def __init__(self, folder):
        self.path = make_corpus(folder / "corpus")
        make_bundle(folder / "tiny")
        self.options = ["-m", folder / "tiny", "--shard-documents", 8]
        began = time.monotonic()
        ended = framing_run(self.path, "-o", folder / "whole", *self.options, "--workers", 1)
        self.seconds = time.monotonic() - began
        assert ended.returncode == SOME_FAILED, ended.stderr
        self.whole = written(folder / "whole")

    def start(self, out, workers=1, **how):
        """Begin a run in a process group of its own."""
        return subprocess.Popen(
            command(self.path, "-o", out, *self.options, "--workers", workers),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=ENVIRONMENT,
            start_new_session=True,
            **how,
        )

    def finish(self, out, workers=1):
        """Run to the end, and see that it is the same."""
        ended = framing_run(self.path, "-o", out, *self.options, "--workers", workers)
        assert ended.returncode == SOME_FAILED, ended.stderr
        assert written(out) == self.whole


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return Corpus(tmp_path_factory.mktemp("kills"))


def until_committed(out, process, shards=1):
    """Wait until so many shards are in the manifest."""
    manifest = out / "manifest.jsonl"
    while process.poll() is None:
        if manifest.exists() and manifest.read_bytes().count(b"\n") >= shards:
            return
        time.sleep(0.01)
    raise AssertionError(process.stderr.read())


@pytest.mark.parametrize("trials", [pytest.param(9), pytest.param(200, marks=pytest.mark.long)])
def test_killed_at_random_moments(corpus, tmp_path, trials):
    draw = random.Random(trials)
    for trial in range(trials):
        out = tmp_path / str(trial)
        for _ in range(2 if trial % 3 == 0 else 1):  # the second while it resumes
            process = corpus.start(out, draw.choice([1, 2]))
            time.sleep(draw.uniform(0, corpus.seconds))
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
        corpus.finish(out, draw.choice([1, 2]))


def test_the_parent_killed_alone_takes_its_children_with_it(corpus, tmp_path):
    process = corpus.start(tmp_path / "out", 2)
    until_committed(tmp_path / "out", process)
    assert len(processes_of(process.pid)) >= 3
    process.kill()
    process.communicate()
    deadline = time.monotonic() + 5
    while processes_of(process.pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not processes_of(process.pid)
    corpus.finish(tmp_path / "out")


def test_children_killed_cost_nothing(corpus, tmp_path):
    """Each of them, wherever it is, and one more: what it was at is done again."""
    process = corpus.start(tmp_path / "out", 2)
    until_committed(tmp_path / "out", process)
    for few in (3, 1):
        for child in sorted(set(processes_of(process.pid)) - {process.pid})[:few]:
            os.kill(child, signal.SIGKILL)
        time.sleep(0.5)
    _, told = process.communicate(timeout=120)
    assert process.returncode == SOME_FAILED, told
    assert written(tmp_path / "out") == corpus.whole


@pytest.mark.parametrize(
    ("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["ctrl-c", "terminated"]
)
def test_stopped_within_five_seconds(corpus, tmp_path, sent, code):
    out = tmp_path / "out"
    process = corpus.start(out, 2)
    until_committed(out, process)
    began = time.monotonic()
    os.killpg(process.pid, sent)  # as a terminal does: the children too
    _, told = process.communicate(timeout=60)
    assert time.monotonic() - began < 5
    assert process.returncode == code
    assert told.splitlines()[-1].startswith("framing: stopped; what is committed is safe")
    assert "Traceback" not in told
    assert not processes_of(process.pid)
    corpus.finish(out)


@pytest.mark.parametrize("races", [pytest.param(2), pytest.param(50, marks=pytest.mark.long)])
def test_of_several_on_one_folder_one_proceeds(corpus, tmp_path, races):
    for race in range(races):
        out = tmp_path / str(race)
        several = [corpus.start(out) for _ in range(2 + race % 3)]
        ended = [(process.communicate(timeout=120)[1], process.returncode) for process in several]
        codes = [code for _, code in ended]
        assert codes.count(SOME_FAILED) >= 1
        for told, code in ended:
            if code != SOME_FAILED:
                assert code == 2
                assert told.splitlines() == [
                    f"framing: {out}: another run is writing to it; wait for it or stop it"
                ]
        assert written(out) == corpus.whole


def test_the_second_leaves_at_once(corpus, tmp_path):
    out = tmp_path / "out"
    first = corpus.start(out)
    until_committed(out, first)
    os.killpg(first.pid, signal.SIGSTOP)  # however long it takes
    began = time.monotonic()
    second = framing_run(corpus.path, "-o", out, *corpus.options)
    assert time.monotonic() - began < 2
    assert second.returncode == 2
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()
    corpus.finish(out)


@pytest.mark.parametrize("limit", [0, 600, 5000])
def test_a_limit_on_file_sizes(corpus, tmp_path, limit):
    out = tmp_path / "out"
    process = corpus.start(
        out,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    printed, told = process.communicate(timeout=60)
    assert process.returncode == 4, told
    assert "Traceback" not in told + printed
    assert told.splitlines()[-1].startswith("framing: File too large: ")
    corpus.finish(out)
