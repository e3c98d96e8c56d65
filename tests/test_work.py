"""Children that die, hang or eat the memory: only the document that did it is lost."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path

import killers
import pytest

from framing.corpus.inputs import find_sources
from framing.corpus.work import Feed, Limits, Pool, PoolBroken, Reader
from framing.text.document import Reason

CALM = "The council will vote on the toll in May, a spokesman said."
QUICK = Limits(seconds=3, memory=300 << 20)


def corpus(folder: Path, texts: list[str], name: str = "a.jsonl") -> Feed:
    rows = (json.dumps({"id": f"d{i}", "text": text}) for i, text in enumerate(texts))
    (folder / name).write_text("\n".join(rows), "utf-8")
    return Feed(find_sources([str(folder)]).sources, documents=4)


def outcomes(feed: Feed, task=None, *, workers=1, limits=QUICK, number=0):
    with Pool(task or killers.Counting(), feed, workers, limits) as pool:
        shards = [done for done in pool.results() if done is not None]
    assert [done.number for done in shards] == list(range(number, number + len(shards)))
    return [outcome for done in shards for outcome in done.result], shards


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_order_and_leave_nothing_out(tmp_path, workers):
    feed = corpus(tmp_path, [CALM[: 20 + i] for i in range(30)])
    found, shards = outcomes(feed, workers=workers)
    assert found == [(0, i, 20 + i) for i in range(30)]
    assert [done.first for done in shards] == [(0, i) for i in range(0, 30, 4)]
    assert [done.next for done in shards] == [(0, i) for i in range(4, 30, 4)] + [(1, 0)]
    assert [done.items for done in shards] == [4] * 7 + [2]


def test_a_run_goes_on_where_it_stopped(tmp_path):
    feed = corpus(tmp_path, [CALM] * 11)
    _, whole = outcomes(feed)
    stopped = whole[0]
    _, rest = outcomes(replace(feed, start=stopped.next, number=1), number=1)
    assert rest == whole[1:]
    nothing, _ = outcomes(replace(feed, start=whole[-1].next, number=3))
    assert nothing == []


def test_parts_share_the_shards(tmp_path):
    feed = corpus(tmp_path, [CALM] * 30)
    numbers = []
    for part in (1, 2, 3):
        with Pool(killers.Counting(), replace(feed, part=(part, 3)), 1, QUICK) as pool:
            numbers.append([done.number for done in pool.results() if done])
    assert numbers == [[0, 3, 6], [1, 4, 7], [2, 5]]


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("KILL", Reason.CRASHED),
        ("SEGFAULT", Reason.CRASHED),
        ("PANIC", Reason.CRASHED),
        ("EXIT", Reason.CRASHED),
        ("EAT", Reason.TOO_LARGE),
        ("HANG", Reason.TIMEOUT),
        ("WAIT", Reason.TIMEOUT),
    ],
)
def test_only_the_culprit_is_lost(tmp_path, word, reason):
    texts = [CALM] * 10
    texts[5] = f"{CALM} {word}"
    feed = corpus(tmp_path, texts)
    seconds = {"HANG": 2, "WAIT": 1}.get(word, 20)
    found, _ = outcomes(feed, limits=Limits(seconds, memory=64 << 20))
    assert found == [(0, i, reason if i == 5 else len(CALM)) for i in range(10)]


@pytest.mark.parametrize("workers", [1, 2])
def test_several_culprits_in_one_shard(tmp_path, workers):
    texts = [CALM, "KILL it all now", CALM, "PANIC it all now", "SEGFAULT in it", CALM]
    found, _ = outcomes(corpus(tmp_path, texts), workers=workers)
    fate = [len(CALM), Reason.CRASHED, len(CALM), Reason.CRASHED, Reason.CRASHED, len(CALM)]
    assert found == [(0, i, outcome) for i, outcome in enumerate(fate)]


@pytest.mark.parametrize("word", ["KILL", "PANIC", "HANG"])
def test_what_happens_once_costs_nothing(tmp_path, word):
    marks = tmp_path / "marks"
    marks.mkdir()
    (tmp_path / "in").mkdir()
    feed = corpus(tmp_path / "in", [CALM, f"{word} it now", CALM])
    found, _ = outcomes(feed, killers.Counting(marks), limits=replace(QUICK, seconds=2))
    assert [outcome for *_, outcome in found] == [len(CALM), len(f"{word} it now"), len(CALM)]


def test_all_workers_killed_from_outside_again_and_again(tmp_path):
    feed = corpus(tmp_path, [CALM] * 60)
    results = []
    with Pool(killers.Counting(), feed, 2, QUICK) as pool:
        for done in pool.results():
            if done is not None:
                results += done.result
                if done.number in (1, 4, 8):
                    for child in children(os.getpid()):
                        os.kill(child, signal.SIGKILL)
    assert results == [(0, i, len(CALM)) for i in range(60)]


def test_an_archive_that_ends_its_reader_costs_its_rest(tmp_path, monkeypatch):
    for name in ("a.jsonl", "c.jsonl"):
        corpus(tmp_path, [CALM] * 5, name)
    feed = corpus(tmp_path, [CALM] * 5, "b.jsonl")
    # Arrow and the parsers of archives run in the reader: a file that kills it is made by
    # a module on the path of the child that takes the place of the real one.
    (tmp_path / "mods").mkdir()
    (tmp_path / "mods" / "sitecustomize.py").write_text(
        textwrap.dedent("""
        import os, signal
        import framing.text.readers as readers
        plain = readers._document
        def deadly(row, name, *rest):
            if name == "b.jsonl" and row.number == 3:
                os.kill(os.getpid(), signal.SIGKILL)
            return plain(row, name, *rest)
        readers._document = deadly
        """)
    )
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join([str(tmp_path / "mods"), *filter(None, sys.path)])
    )
    found, _ = outcomes(feed)
    good = [(0, i, len(CALM)) for i in range(5)], [(2, i, len(CALM)) for i in range(5)]
    middle = [(1, 0, len(CALM)), (1, 1, len(CALM)), (1, 2, Reason.CRASHED)]
    assert found == good[0] + middle + good[1]


def test_what_a_task_refuses_with_is_raised(tmp_path):
    feed = corpus(tmp_path, [CALM])
    with pytest.raises(killers.Refused, match="model: is damaged") as refused:
        outcomes(feed, killers.Refusing())
    assert refused.value.path == "model"


def test_workers_that_never_start_end_the_run(tmp_path):
    with pytest.raises(PoolBroken, match="do not start"):
        outcomes(corpus(tmp_path, [CALM]), killers.NeverStarting())


def test_reading_and_working_apart_give_the_same(tmp_path):
    feed = corpus(tmp_path, [CALM, "KILL it now", CALM, CALM, CALM])
    with Reader(feed, QUICK) as reader:
        turns = [turn for turn in reader.turns() if turn is not None]
    with Pool(killers.Counting(), None, 1, QUICK, threads=1) as pool:
        for turn in turns:
            pool.take(turn)
        apart = [done for done in pool.results() if done is not None]
    assert apart == outcomes(feed)[1]


def test_a_parent_that_was_away_blames_nobody(tmp_path):
    feed = corpus(tmp_path, [CALM] * 40)
    found = []
    with Pool(killers.Counting(), feed, 1, Limits(0.1, memory=300 << 20)) as pool:
        for done in pool.results():
            if done is not None:
                found += done.result
                time.sleep(0.8)  # more than five times what a document may take
    assert found == [(0, i, len(CALM)) for i in range(40)]


def test_the_parent_is_told_that_time_passes(tmp_path):
    feed = corpus(tmp_path, ["HANG here"])
    with Pool(killers.Counting(), feed, 1, replace(QUICK, seconds=1)) as pool:
        assert list(pool.results(tick=0.3)).count(None) >= 3


def test_leaving_ends_the_children_at_once(tmp_path):
    feed = corpus(tmp_path, ["HANG here"] * 20)
    with Pool(killers.Counting(), feed, 2) as pool:
        next(pool.results())
        assert len(children(os.getpid())) >= 2
        begun = time.monotonic()
    assert time.monotonic() - begun < 3
    assert children(os.getpid()) == []


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_the_parents_death_ends_the_children(tmp_path, end):
    corpus(tmp_path, ["HANG here"] * 20)
    program = textwrap.dedent(f"""
        import sys
        sys.path += {[str(Path(__file__).parent)]!r}
        import killers
        from framing.corpus.inputs import find_sources
        from framing.corpus.work import Feed, Pool
        with Pool(killers.Counting(), Feed(find_sources([{str(tmp_path)!r}]).sources), 2) as pool:
            for done in pool.results(tick=0.5):
                print("tick", flush=True)
    """)
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as parent:
        assert parent.stdout.readline() == b"tick\n"
        orphans = children(parent.pid)
        assert len(orphans) >= 2
        parent.send_signal(end)
    deadline = time.monotonic() + 3
    while any(map(alive, orphans)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(alive, orphans))


def children(parent: int) -> list[int]:
    """The processes whose parent this is, zombies left out."""
    return [pid for pid, (state, ppid) in processes() if ppid == parent and state != "Z"]


def alive(pid: int) -> bool:
    return any(pid == each and state != "Z" for each, (state, _) in processes())


def processes():
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            yield int(entry.name), (fields[0], int(fields[1]))
