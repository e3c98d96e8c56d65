"""Fast runs: a first stage decides what it is certain of, the encoder the rest, nothing else."""

import io
import json
import zipfile
from dataclasses import fields, replace

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from runs import framing_run, make_corpus, written
from tiny import LABELS, WORDS, make_bundle

import framing
from framing.corpus.draw import draw
from framing.corpus.inputs import find_sources
from framing.corpus.manifest import RunRefused
from framing.corpus.merge import merge
from framing.corpus.run import run
from framing.corpus.scoring import RunOptions
from framing.model.bundle import BundleError, open_bundle, rewrite_manifest
from framing.model.classifier import load
from framing.model.first_stage import FirstStage, expected_changes, risks_of_change
from framing.text.columns import Choice
from framing.train.promise import Answers, allowed, measure_promise

FAST = RunOptions(documents=16, fast=True)
FULL = RunOptions(documents=16)


def made_first_stage(teacher: str, at_most: float = 0.5, seed: int = 0) -> FirstStage:
    """A small one with weights drawn at random."""
    rng = np.random.default_rng(seed)
    v, d, layers, w, h, n = len(WORDS), 8, 2, 6, 5, len(LABELS)

    def steps(most: int, *shape: int) -> np.ndarray:
        return rng.integers(-most, most + 1, shape)

    return FirstStage(
        embedding=steps(127, v, d).astype(np.int8),
        filters=steps(127, layers, 3, d, d).astype(np.int8),
        filter_scale=np.full((layers, d), 0.002, np.float32),
        filter_bias=np.zeros((layers, d), np.float32),
        widen=steps(127, d, w).astype(np.int8),
        widen_scale=np.full(w, 0.05, np.float32),
        widen_bias=np.zeros(w, np.float32),
        hidden=steps(32767, 2 * w, h).astype(np.int16),
        hidden_scale=np.full(h, 1e-4),
        hidden_bias=np.zeros(h),
        out=steps(32767, 2 * w + h, 2 * n).astype(np.int16),
        out_scale=np.repeat([1e-7, 2e-8], n),
        out_bias=np.zeros(2 * n),
        mean_scale=np.array(0.3),
        at_most=np.array(at_most),
        teacher=np.frombuffer(bytes.fromhex(teacher), np.uint8),
    )


def add_first_stage(folder, **given) -> FirstStage:
    first = made_first_stage(open_bundle(folder).fingerprint, **given)
    (folder / "first_stage.npz").write_bytes(first.to_bytes())
    rewrite_manifest(folder)
    return first


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """A bundle without a first stage."""
    folder = tmp_path_factory.mktemp("plain") / "tiny"
    make_bundle(folder)
    return folder


@pytest.fixture(scope="module")
def full(tmp_path_factory, corpus, plain):
    out = tmp_path_factory.mktemp("full") / "out"
    run([str(corpus)], out, model=str(plain), options=FULL)
    return out


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    """A bundle whose first stage keeps some passages and not others."""
    folder = tmp_path_factory.mktemp("bundle") / "tiny"
    make_bundle(folder)
    add_first_stage(folder, at_most=1.1)
    return folder


@pytest.fixture(scope="module")
def done(tmp_path_factory, corpus, bundle):
    """A finished fast run."""
    out = tmp_path_factory.mktemp("fast") / "out"
    run([str(corpus)], out, model=str(bundle), options=FAST)
    return out


def rows(out, table="passages"):
    return pq.read_table(out / table).to_pylist()


# --- the network ------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.lists(st.integers(0, len(WORDS) - 1), min_size=1, max_size=30), min_size=2, max_size=12
    ),
    st.randoms(),
)
def test_a_passage_does_not_depend_on_its_neighbours(passages, random) -> None:
    first = made_first_stage("00" * 32)
    tokens = [np.array(passage, np.int64) for passage in passages]
    logits, spread = first.predict(tokens)
    order = random.sample(range(len(tokens)), len(tokens))
    shuffled = first.predict([tokens[i] for i in order])
    assert (shuffled[0] == logits[order]).all()
    assert (shuffled[1] == spread[order]).all()
    for i, passage in enumerate(tokens):
        assert (first.predict([passage])[0] == logits[i]).all()


def test_it_sees_the_order_of_words() -> None:
    first = made_first_stage("00" * 32)
    there, back = (first.predict([np.array(t)])[0] for t in ([1, 3, 4, 5, 2], [1, 5, 4, 3, 2]))
    assert (there != back).any()


def test_the_risk_of_a_change_is_that_of_crossing_an_edge(plain) -> None:
    decisions = open_bundle(plain).decisions
    sure = risks_of_change(np.array([[9.0, 9, 9], [-9, -9, -9]]), np.ones((2, 3)), decisions)
    assert (sure < 0.01).all()
    edge = risks_of_change(np.zeros((1, 3)), np.ones((1, 3)), decisions)[0]
    assert edge[1] == pytest.approx(0.5)  # hope is yes from 0 up, and the encoder's may be below
    between = risks_of_change(np.full((1, 3), 0.7), np.full((1, 3), 0.01), decisions)[0]
    assert between[0] < 0.01  # alarm is unsure from 0 to 1.39, and surely so
    assert expected_changes(edge[None]) == pytest.approx(edge.sum())


# --- the bundle -------------------------------------------------------------------------------


def test_a_first_stage_is_written_and_read_back() -> None:
    first = made_first_stage("ab" * 32)
    data = first.to_bytes()
    again = FirstStage.from_bytes(data)
    assert again.to_bytes() == data
    assert again.predict([np.array([1, 3, 2])])[0].tolist() == (
        first.predict([np.array([1, 3, 2])])[0].tolist()
    )


def test_the_ordinary_path_does_not_know_of_it(plain, bundle) -> None:
    without, beside = open_bundle(plain), open_bundle(bundle)
    assert beside.fingerprint == without.fingerprint
    assert without.first_stage is None
    assert beside.first_stage is not None
    texts = ["panic in the city", "calm .", "subscribe"]
    assert (load(bundle).predict_proba(texts) == load(plain).predict_proba(texts)).all()
    assert load(bundle).score(". ".join(texts)).passages[0].stage is None


@pytest.fixture
def folder(tmp_path):
    make_bundle(tmp_path / "tiny")
    return tmp_path / "tiny"


def put(folder, data: bytes) -> None:
    (folder / "first_stage.npz").write_bytes(data)
    rewrite_manifest(folder)


def arrays(first: FirstStage) -> dict[str, np.ndarray]:
    return {field.name: getattr(first, field.name) for field in fields(first)}


def packed(table: dict[str, np.ndarray], method: int = zipfile.ZIP_STORED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, array in table.items():
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, array, allow_pickle=True)
            archive.writestr(f"{name}.npy", buffer.getvalue())
    return out.getvalue()


@pytest.mark.parametrize(
    ("name", "spoilt"),
    [
        ("embedding", np.zeros((5, 9), np.int8)),
        ("embedding", np.zeros((len(WORDS), 8), np.int16)),
        ("filters", np.zeros((9, 3, 8, 8), np.int8)),
        ("filters", np.zeros(3, np.int8)),
        ("filter_scale", np.full((2, 8), np.nan, np.float32)),
        ("out", np.zeros((17, 5), np.int16)),
        ("at_most", np.array(np.inf)),
        ("at_most", np.array([0.5])),
        ("teacher", np.array([None])),
        ("teacher", np.zeros(31, np.uint8)),
        ("more", np.zeros(3)),
    ],
)
def test_a_spoilt_first_stage_is_refused(folder, name, spoilt) -> None:
    first = made_first_stage(open_bundle(folder).fingerprint)
    put(folder, packed(arrays(first) | {name: spoilt}))
    with pytest.raises(BundleError, match=r"first_stage\.npz: .*framing distill"):
        load(folder, fast=True)
    load(folder)  # nobody else minds


def test_a_first_stage_that_is_not_what_the_manifest_says_is_refused(folder) -> None:
    add_first_stage(folder)
    data = bytearray((folder / "first_stage.npz").read_bytes())
    data[len(data) // 2] ^= 1
    (folder / "first_stage.npz").write_bytes(data)
    with pytest.raises(BundleError, match=r"first_stage\.npz: its SHA-256"):
        load(folder)


@pytest.mark.parametrize("data", [b"", b"PK", "compressed"])
def test_what_is_no_plain_archive_makes_no_bundle(folder, data) -> None:
    if data == "compressed":
        first = made_first_stage(open_bundle(folder).fingerprint)
        data = packed(arrays(first), zipfile.ZIP_DEFLATED)
    with pytest.raises(BundleError, match=r"first_stage\.npz: is malformed"):
        put(folder, data)


def test_a_first_stage_of_another_model_is_refused(folder) -> None:
    put(folder, made_first_stage("12" * 32).to_bytes())
    with pytest.raises(BundleError, match="another model"):
        load(folder, fast=True)


# --- runs -------------------------------------------------------------------------------------


def test_where_nothing_is_kept_a_fast_run_writes_what_a_full_one_does(
    tmp_path, corpus, full, folder
) -> None:
    add_first_stage(folder, at_most=-1.0)
    run([str(corpus)], tmp_path / "out", model=str(folder), options=FAST)
    stages, passages = set(), []
    for row in rows(tmp_path / "out"):
        stages.add(row.pop("stage"))
        passages.append(row)
    assert stages == {2}
    assert passages == rows(full)
    for table in ("documents", "errors"):
        assert rows(tmp_path / "out", table) == rows(full, table)


def test_each_stage_decides_its_passages(done, full, bundle) -> None:
    fast, model = rows(done), framing.load(bundle)
    assert {row["stage"] for row in fast} == {1, 2}
    for row, other in zip(fast, rows(full), strict=True):
        probabilities = [row[f"p_{label}"] for label in LABELS]
        decided = [model.decisions[x].decide(p) for x, p in zip(LABELS, probabilities, strict=True)]
        assert row["labels"] == [x for x, d in zip(LABELS, decided, strict=True) if d == "yes"]
        assert row["unsure"] == [x for x, d in zip(LABELS, decided, strict=True) if d == "unsure"]
        if row["stage"] == 2:
            assert {**row, "stage": None} == {**other, "stage": None}
    assert any(row["p_hope"] != b["p_hope"] for row, b in zip(fast, rows(full), strict=True))


def test_a_profile_is_of_all_its_passages(done) -> None:
    story: dict[tuple[str, int], list[dict]] = {}
    for row in rows(done):
        if "advert" not in row["labels"]:
            story.setdefault((row["source_file"], row["position"]), []).append(row)
    mixed = 0
    for document in rows(done, "documents"):
        passages = story.get((document["source_file"], document["position"]), [])
        share = sum("alarm" in p["labels"] for p in passages) / max(1, len(passages))
        assert document["share_alarm"] == pytest.approx(share, abs=1e-6)
        mixed += len({p["stage"] for p in passages}) == 2
    assert mixed


def test_workers_and_jobs_change_nothing(tmp_path, corpus, bundle, done) -> None:
    parts = [tmp_path / f"part{i}" for i in (1, 2)]
    for i, part in enumerate(parts, 1):
        run([str(corpus)], part, model=str(bundle), options=FAST, workers=2, part=(i, 2))
    merge(parts, tmp_path / "out")
    assert written(tmp_path / "out") == written(done)


def test_provenance_says_so(done, full, bundle) -> None:
    pins = json.loads((done / "run.json").read_text())
    assert pins["options"]["fast"] is True
    assert pins["first_stage"] == {"fingerprint": open_bundle(bundle).first_stage}
    about = json.loads(pq.read_schema(next((done / "passages").iterdir())).metadata[b"framing"])
    assert about["provenance"]["first_stage"] == pins["first_stage"]
    plain = json.loads((full / "run.json").read_text())
    assert plain["options"]["fast"] is False
    assert "first_stage" not in plain
    assert "stage" not in rows(full)[0]


def test_a_run_goes_on_as_fast_as_it_began(tmp_path, folder) -> None:
    corpus = make_corpus(tmp_path / "corpus", 4)
    add_first_stage(folder)
    run([str(corpus)], tmp_path / "slow", model=str(folder), options=FULL)
    with pytest.raises(RunRefused, match=r"--fast"):
        run([str(corpus)], tmp_path / "slow", model=str(folder), options=FAST)
    run([str(corpus)], tmp_path / "fast", model=str(folder), options=FAST)
    with pytest.raises(RunRefused, match=r"--fast"):
        run([str(corpus)], tmp_path / "fast", model=str(folder), options=FULL)
    add_first_stage(folder, seed=1)
    with pytest.raises(RunRefused, match=r"first_stage\.fingerprint"):
        run([str(corpus)], tmp_path / "fast", model=str(folder), options=FAST)


def test_fast_needs_a_first_stage(tmp_path, corpus, plain) -> None:
    ended = framing_run(corpus, "-o", tmp_path / "out", "-m", plain, "--fast")
    assert ended.returncode == 2
    (line,) = ended.stderr.splitlines()
    assert "no first stage" in line
    assert "framing distill" in line


def test_fast_keeps_to_the_bundles_own_bands(tmp_path, corpus, bundle) -> None:
    more = replace(FAST, min_confidence=0.9)
    with pytest.raises(RunRefused, match="--min-confidence"):
        run([str(corpus)], tmp_path / "out", model=str(bundle), options=more)


# --- what it may keep, and what it promises ---------------------------------------------------


def answers(n: int = 4000, labels: int = 10, rare: int = 0) -> Answers:
    """Answers that differ the likelier, the higher the risk; a last label with some yeses."""
    rng = np.random.default_rng(0)
    risk = np.sort(rng.random(n)) ** 2 * 0.1
    risks = np.repeat(risk[:, None], labels, axis=1)
    full = rng.integers(0, 2, (n, labels)).astype(np.int8)
    full[:, -1] = 0
    full[:rare, -1] = 1
    first = np.where(rng.random((n, labels)) < risks, 1 - full, full).astype(np.int8)
    first[:, -1] = 0
    return Answers(first, full, risks, rng.integers(0, 100, n).astype(str))


def test_as_much_is_kept_as_the_agreement_allows() -> None:
    held = answers()
    at_most = allowed(held, 0.99)
    assert at_most is not None
    kept = held.expected <= at_most
    assert 0.98 < 1 - held.differ[kept].mean() < 0.9999
    assert held.differ[kept].mean() <= 0.01 < held.differ.mean()
    more = allowed(held, 0.97)
    assert more is not None
    assert more > at_most
    assert allowed(replace(held, first=1 - held.full), 0.99) is None


def test_a_rare_label_may_not_vanish() -> None:
    held = answers(rare=40)  # all of them where the first stage is most certain, and misses them
    assert 1 - held.differ[:1000].mean() > 0.99
    assert allowed(held, 0.99) is None


def test_a_promise_is_what_happened() -> None:
    held = answers(rare=30)
    labels = [f"l{i}" for i in range(10)]
    promise = measure_promise(
        labels, held, 0.1, agreement=0.99, speeds=(1000.0, 10.0), learned_from=7, chosen_on=8
    )
    kept = held.expected <= 0.1
    same = held.first[kept] == held.full[kept]
    assert promise.point.kept == pytest.approx(kept.mean())
    assert promise.point.agreement == pytest.approx(same.mean())
    assert promise.low <= promise.point.agreement <= promise.high
    assert promise.point.speed == pytest.approx(1 / (1 - kept.mean() + 0.01))
    assert promise.labels["l9"].lost == 1
    assert promise.labels["l9"].fast_prevalence == 0
    assert promise.labels["l0"].prevalence == pytest.approx((held.full[:, 0] == 1).mean())
    kepts = [point.kept for point in promise.curve]
    assert kepts == sorted(kepts)
    assert promise.curve[0].agreement > promise.curve[-1].agreement
    json.dumps(promise.to_dict(), allow_nan=False)


# --- making one -------------------------------------------------------------------------------


def drawn_corpus(folder, documents: int):
    """Rows of text in the tiny bundle's words, of 40 outlets."""
    rng = np.random.default_rng(0)
    words = [w for w in WORDS[3:] if w != "."]
    folder.mkdir()
    with (folder / "articles.jsonl").open("w") as file:
        for i in range(documents):
            text = "\n\n".join(
                " ".join(rng.choice(words, rng.integers(9, 25))) + "." for _ in range(6)
            )
            row = {"id": f"{i}", "text": text, "source": f"outlet {i % 40}"}
            file.write(json.dumps(row) + "\n")
    return folder


def test_passages_are_drawn_evenly(tmp_path) -> None:
    sources = find_sources([str(drawn_corpus(tmp_path / "articles", 300))]).sources
    some = draw(sources, Choice(), 400, language="en")
    assert 300 < len(some) < 500
    assert some == draw(sources, Choice(), 400, language="en")
    assert some != draw(sources, Choice(), 400, language="en", seed=1)
    assert len({passage.text for passage in some}) == len(some)
    assert len({passage.outlet for passage in some}) == 40
    assert len(draw(sources, Choice(), 10_000, language="en")) == 1800


@pytest.mark.train
def test_distilling_makes_a_bundle_that_runs_fast(tmp_path, folder) -> None:
    pytest.importorskip("torch", reason="needs the train extra")
    pytest.importorskip("onnx", reason="needs the train extra")
    from framing.train.distill import distil

    articles = drawn_corpus(tmp_path / "articles", 500)
    sources = find_sources([str(articles)]).sources
    passages = [(p.text, p.outlet) for p in draw(sources, Choice(), 3000, language="en")]
    scored = []
    made = distil(
        str(folder),
        passages,
        tmp_path / "fast",
        agreement=0.9,
        on_scored=lambda done, of: scored.append(done),
    )
    point = made.promise.point
    assert scored[-1] == len(passages)
    assert point.kept > 0.1
    assert point.agreement > 0.85
    assert open_bundle(tmp_path / "fast").fingerprint == open_bundle(folder).fingerprint
    steps = []
    again = distil(
        str(folder), passages, tmp_path / "fast", agreement=0.95, on_step=lambda p: steps.append(p)
    )
    assert not steps  # what was learned is still there
    assert again.promise.point.kept <= point.kept
    run([str(articles)], tmp_path / "out", model=str(tmp_path / "fast"), options=FAST)
    run([str(articles)], tmp_path / "full", model=str(folder), options=FULL)
    fast, slow = rows(tmp_path / "out"), rows(tmp_path / "full")
    kept = [(a, b) for a, b in zip(fast, slow, strict=True) if a["stage"] == 1]
    assert len(kept) / len(fast) == pytest.approx(point.kept, abs=0.1)
    same = [(x in a["labels"]) == (x in b["labels"]) for a, b in kept for x in LABELS]
    assert np.mean(same) > 0.85
