"""Near-duplicates: copies are found, point to a first, and nothing else is called a copy."""

import json
import random
from hashlib import sha256

import pytest

pytest.importorskip("rensa")

import pyarrow.parquet as pq
from runs import framing_run, written
from tiny import make_bundle

from framing.corpus import manifest
from framing.corpus.dedup import Copies, Firsts, method, sketch
from framing.corpus.manifest import RunRefused
from framing.corpus.run import run
from framing.corpus.scoring import RunOptions

STEMS = (
    "bridge council river harvest minister ferry valley school market winter train glass".split()
)
GERMAN = "Der Stadtrat hat am Dienstag lange über die neue Brücke beraten und nichts beschlossen."
WORDS = [f"{stem}{end}" for stem in STEMS for end in ("", "s", "ed", "ing", "er", "less", "ward")]


def article(seed, words=300):
    """An article of made-up sentences: no two seeds share a run of five words but by chance."""
    draw = random.Random(seed)
    sentences = []
    while words > 0:
        length = draw.randint(8, 20)
        sentences.append(" ".join(draw.choice(WORDS) for _ in range(length)).capitalize() + ".")
        words -= length
    return "\n\n".join(" ".join(sentences[i : i + 3]) for i in range(0, len(sentences), 3))


def replaced(text, share, seed):
    draw = random.Random(seed)
    return " ".join(draw.choice(WORDS) if draw.random() < share else w for w in text.split())


def similarity(one, other):
    """The exact share of 5-word shingles, counted here for itself."""
    a, b = (
        {tuple(w[i : i + 5]) for i in range(len(w) - 4)}
        for w in (text.lower().replace(".", "").split() for text in (one, other))
    )
    return len(a & b) / len(a | b)


def copies(*texts):
    """What is a copy of what, by index."""
    firsts = Firsts()
    for i, text in enumerate(texts):
        if (made := sketch(text)) is not None:
            firsts.add((0, i), made)
    found = firsts.copies()
    pairs = {i: found.of(0, i) for i in range(len(texts))}
    return {i: first[1] for i, first in pairs.items() if first is not None}


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t,
        lambda t: t.upper(),
        lambda t: t.replace(".", "\u2009—").replace("\n\n", "\r\n"),
        lambda t: t.replace("e", "e\u00ad", 40),
        lambda t: "RIVERTON, 5 May (Agency) — " + t + "\n\nSign up to our letter. Our own wire.",
        lambda t: "Another headline altogether on the bridge\n\n" + t,
        lambda t: "\n\n".join([*t.split("\n\n")[2:3], *t.split("\n\n")[:2], *t.split("\n\n")[3:]]),
        lambda t: replaced(t, 0.005, 1),
    ],
    ids="equal case typography soft-hyphens dateline headline moved words".split(),
)
def test_a_wire_copy_is_found_among_others(change):
    texts = [article(seed) for seed in range(30)]
    assert copies(*texts, change(texts[17])) == {30: 17}


def test_recall_and_precision_against_an_exact_count():
    texts = [article(seed) for seed in range(60)]
    rates = [0.0, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1]
    texts += [replaced(texts[i], rates[i % len(rates)], i) for i in range(60)]
    found = copies(*texts)
    exact = {60 + i: similarity(texts[i], texts[60 + i]) for i in range(60)}
    assert all(found[i] == i - 60 for i in found)  # no pair of different stories
    clear = {i for i, share in exact.items() if share >= 0.86}
    assert len(clear) > 15
    assert clear <= set(found)
    assert {exact[i] >= 0.74 for i in found} == {True}


def test_a_copy_points_to_a_first_and_never_along_a_chain():
    drifting = [article(1)]
    for step in range(12):
        drifting.append(replaced(drifting[-1], 0.01, step))
    found = copies(*drifting)
    firsts = set(found.values())
    assert len(firsts) > 1
    assert not firsts & set(found)
    assert all(similarity(drifting[i], drifting[first]) >= 0.74 for i, first in found.items())


def test_a_story_printed_many_times_has_one_first():
    other = article(2)
    assert copies(other, *[article(1)] * 200) == dict.fromkeys(range(2, 201), 1)


def test_short_texts_are_copies_only_where_they_are_equal():
    found = copies("Rates rise again", "rates rise, again", "Rates fall again", "Rates", "", "—")
    assert found == {1: 0}


def test_no_documents_no_copies():
    assert len(Firsts().copies()) == 0


def test_copies_are_kept_as_bytes_that_depend_on_them_alone():
    def made():
        firsts = Firsts()
        for source in range(4):
            for position in range(0, 50, 10):
                firsts.add(
                    (source, position), sketch(article(position * (source != 2) + source // 3))
                )
        return firsts.copies()

    found = made()
    data = found.to_bytes()
    assert data == made().to_bytes()
    again = Copies.from_bytes(data)
    keys = [(source, position) for source in range(5) for position in range(60)]
    assert [again.of(*key) for key in keys] == [found.of(*key) for key in keys]
    assert again.of(1, 10) == (0, 10)
    assert again.of(1, 11) is again.of(4, 10) is again.of(0, 0) is None


def test_the_method_is_named_for_the_run_to_pin():
    assert {"threshold": 0.8, "shingle_words": 5, "method": "minhash"}.items() <= method().items()


def test_a_run_scores_the_first_and_marks_its_copies(tmp_path):
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    page = f"<html><body><article><p>{article(1)}</p></article></body></html>"
    (corpus / "a.html").write_text(page, "utf-8")
    texts = {"copy": article(1), "other": article(2), "german": GERMAN}
    rows = [{"id": id, "text": text} for id, text in (texts | {"der": texts["german"]}).items()]
    rows.append({"id": "again", "text": "EDITED. " + article(2)})
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (corpus / "b.jsonl").write_text(lines + "broken\n", "utf-8")
    bundle = make_bundle(tmp_path / "tiny").path
    outs = [tmp_path / "one", tmp_path / "two"]
    for workers, out in enumerate(outs, 1):
        args = "-o", out, "-m", bundle, "--dedup", "minhash", "--shard-documents", 2
        done = framing_run(corpus, *args, "--workers", workers)
        assert done.returncode == 1, done.stderr
    assert written(outs[0]) == written(outs[1])
    table = pq.read_table(outs[0] / "documents").to_pylist()
    assert {row["id"]: (row["copy_of_file"], row["copy_of_position"]) for row in table} == {
        "a.html": (None, None),
        "copy": ("a.html", 0),
        "other": (None, None),
        "again": ("b.jsonl", 1),
    }
    assert {row["id"]: row["words"] is None for row in table if row["copy_of_file"]} == {
        "copy": True,
        "again": True,
    }
    errors = pq.read_table(outs[0] / "errors").to_pylist()
    assert [row["reason"] for row in errors] == ["language", "language", "malformed"]
    passages = pq.read_table(outs[0] / "passages").to_pylist()
    assert {row["id"] for row in passages} == {"a.html", "other"}
    pins = json.loads((outs[0] / "run.json").read_bytes())
    assert pins["dedup"] == method()
    found = (outs[0] / "copies.parquet").read_bytes()
    assert pins["copies"] == sha256(found).hexdigest()
    assert list(Copies.from_bytes(found).source) == [1, 1]


class Stop(Exception):
    """A signal."""


def test_a_run_goes_on_with_the_copies_that_it_found(tmp_path, monkeypatch):
    rows = [{"id": str(i), "text": f"Ferry sails again\n\n{article(i % 3)}"} for i in range(6)]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    bundle = str(make_bundle(tmp_path / "tiny").path)
    commit, out = manifest.commit, tmp_path / "out"

    def once(out, entry, tables):
        commit(out, entry, tables)
        raise Stop

    def go_on(out):
        options = RunOptions(dedup=True, documents=2, any_language=True)
        return run([str(tmp_path / "a.jsonl")], out, model=bundle, options=options)

    with monkeypatch.context() as patch:
        patch.setattr(manifest, "commit", once)
        with pytest.raises(Stop):
            go_on(out)
    copies = out / "copies.parquet"
    found, none = copies.read_bytes(), Firsts().copies().to_bytes()
    copies.write_bytes(none)
    with pytest.raises(RunRefused, match=r"copies\.parquet is not the file that the run wrote"):
        go_on(out)
    copies.unlink()  # found again
    assert go_on(out).counts.copies == 3
    assert copies.read_bytes() == found
    assert pq.read_table(out / "documents")["title"].to_pylist() == ["Ferry sails again"] * 6
