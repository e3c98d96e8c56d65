"""The parts of a divided run, merged, are the undivided run."""

import random
import subprocess
import sys

import pytest
from made_run import CONTENTS, make_run
from runs import framing_run, make_corpus, written
from tiny import make_bundle

from framing.corpus import files, manifest
from framing.corpus.manifest import RunRefused
from framing.corpus.merge import merge


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("whole"))


def divided(folder, of, **about):
    return [make_run(folder / f"part-{i}", part=(i, of), **about) for i in range(1, of + 1)]


@pytest.mark.parametrize("of", [1, 2, 3, 9])
def test_merged_parts_are_the_undivided_run_byte_for_byte(whole, tmp_path, of):
    parts = divided(tmp_path, of)
    random.Random(of).shuffle(parts)
    counts = merge(parts, tmp_path / "out")
    assert written(tmp_path / "out") == written(whole)
    assert counts.documents == len(CONTENTS) == counts.scored + counts.copies + counts.errors
    assert merge(parts, tmp_path / "out") == counts  # nothing is left to do
    assert written(tmp_path / "out") == written(whole)


def test_the_found_copies_come_along(tmp_path):
    parts = divided(tmp_path, 2)
    for part in parts:
        manifest.pin_copies(part, b"which are copies")
    (parts[0] / manifest.COPIES).write_bytes(b"others")
    with pytest.raises(RunRefused, match=r"copies\.parquet is not the file that the run wrote"):
        merge(parts, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    manifest.pin_copies(parts[0], b"others")
    with pytest.raises(RunRefused, match=r"not parts of one run: their run\.json differ in copies"):
        merge(parts, tmp_path / "out")
    manifest.pin_copies(parts[0], b"which are copies")
    merge(parts, tmp_path / "out")
    assert (tmp_path / "out" / manifest.COPIES).read_bytes() == b"which are copies"
    assert manifest.has_copies(tmp_path / "out")


@pytest.mark.parametrize("done", range(0, 12, 2))
def test_a_merge_that_died_goes_on(whole, tmp_path, monkeypatch, done):
    parts, out = divided(tmp_path, 3), tmp_path / "out"
    replace, left = files.system.replace, [done]

    def dying(source, target):
        left[0] -= 1
        if left[0] < 0:
            raise OSError(28, "No space left on device")
        replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(files.system, "replace", dying)
        for _ in range(2):
            with pytest.raises(OSError, match="No space left"):
                merge(parts, out)
    merge(parts, out)
    assert written(out) == written(whole)


def test_the_parts_stay_as_they_are(tmp_path):
    parts = divided(tmp_path, 2)
    before = [written(part) for part in parts]
    merge(parts, tmp_path / "out")
    assert [written(part) for part in parts] == before


@pytest.mark.parametrize(
    ("parts", "line"),
    [
        (lambda f, p: p[:1], r"parts are missing \(2/2\)"),
        (lambda f, p: [*p, p[0]], "are both part 1/2"),
        (lambda f, p: [p[0], f], "is not the output of a run"),
        (lambda f, p: [p[0], make_run(f / "x", part=(2, 3))], "how many parts there are"),
        (lambda f, p: [p[0], make_run(f / "x", part=(2, 2), per_shard=2)], "differ in options"),
        (lambda f, p: [p[0], make_run(f / "x", part=(2, 2), shards=1)], "is not complete"),
    ],
    ids="missing twice no-run other-count other-options unfinished".split(),
)
def test_what_are_not_the_parts_of_one_run_is_refused(tmp_path, parts, line):
    given = parts(tmp_path, divided(tmp_path / "good", 2))
    with pytest.raises(RunRefused, match=line):
        merge(given, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_part_that_was_changed_is_refused_and_the_rest_is_safe(whole, tmp_path):
    parts = divided(tmp_path, 2)
    spoilt = parts[1] / "passages" / "00000001.parquet"
    good = spoilt.read_bytes()
    spoilt.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    with pytest.raises(RunRefused, match=r"00000001\.parquet is not the file that the run wrote"):
        merge(parts, tmp_path / "out")
    spoilt.write_bytes(good)
    merge(parts, tmp_path / "out")
    assert written(tmp_path / "out") == written(whole)


def test_parts_that_do_not_join_are_refused(tmp_path):
    parts = divided(tmp_path, 2)
    lines = (parts[1] / manifest.MANIFEST).read_bytes().splitlines(keepends=True)
    (parts[1] / manifest.MANIFEST).write_bytes(b"".join(lines[1:]))
    with pytest.raises(RunRefused, match="shard 2 does not follow shard 0"):
        merge(parts, tmp_path / "out")


def test_nothing_is_merged_into_another_run_or_a_folder_of_something_else(tmp_path):
    parts = divided(tmp_path, 2)
    other = make_run(tmp_path / "other", per_shard=4)
    before = written(other)
    with pytest.raises(RunRefused, match=r"begun otherwise \(--shard-documents"):
        merge(parts, other)
    assert written(other) == before
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(RunRefused, match=r"holds thesis.txt"):
        merge(parts, tmp_path / "mine")
    with pytest.raises(RunRefused, match=r"begun otherwise \(--shard: "):
        merge(parts, parts[0])


def test_the_command_tells_what_it_joined(tmp_path):
    parts = divided(tmp_path, 2)
    command = [sys.executable, "-m", "framing", "merge", *parts, "-o", tmp_path / "out"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "11 documents = 10 scored + 0 copies + 1 error;" in done.stdout
    refused = subprocess.run(command[:4] + command[5:], capture_output=True, text=True)
    assert refused.returncode == 2
    assert refused.stderr.count("\n") == 1


def test_jobs_merged_are_the_undivided_run(tmp_path):
    bundle = make_bundle(tmp_path / "tiny").path
    corpus = make_corpus(tmp_path / "corpus", 30)
    args = corpus, "-m", bundle, "--any-language", "--shard-documents", 8, "--workers", 1
    assert framing_run(*args, "-o", tmp_path / "whole").returncode == 1
    parts = [tmp_path / f"part-{i}" for i in (1, 2, 3)]
    for i, part in enumerate(parts, 1):
        assert framing_run(*args, "-o", part, "--shard", f"{i}/3").returncode in (0, 1)
    merge(parts, tmp_path / "out")
    assert written(tmp_path / "out") == written(tmp_path / "whole")
    again = framing_run(*args, "-o", tmp_path / "out")  # the whole run's own command: all done
    assert again.returncode == 1
    assert written(tmp_path / "out") == written(tmp_path / "whole")
