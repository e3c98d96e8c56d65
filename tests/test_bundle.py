from __future__ import annotations

import io
import json
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
import tiny
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import framing
from framing.model.baseline import Tfidf
from framing.model.bundle import (
    BundleError,
    find_bundle,
    open_bundle,
    rewrite_manifest,
    shipped_bundles,
    write_bundle,
)
from framing.model.classifier import load
from framing.model.manifest import KINDS, MANIFEST
from framing.model.onnx_guard import OnnxRefused, check_onnx
from framing.model.tokenizer_guard import TokenizerRefused, check_tokenizer

FILES = sorted(KINDS["encoder"])
brief = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tiny.make_bundle(tmp_path / "tiny")
    return tmp_path / "tiny"


def refusal(folder: Path) -> str:
    """The message with which the bundle is refused: one line, from the moment of loading."""
    with pytest.raises(BundleError) as caught:
        load(folder)
    message = str(caught.value)
    assert "\n" not in message
    assert str(folder) in message
    return message


def edit(folder: Path, **changes: object) -> None:
    manifest = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps(manifest | changes))


# ---- the whole bundle


def test_what_was_written_opens(folder: Path) -> None:
    bundle = open_bundle(folder)
    assert bundle.labels == tiny.LABELS
    assert (bundle.name, bundle.kind, bundle.max_tokens) == ("tiny", "encoder", 32)
    assert bundle.language == "en"
    assert bundle.created_with == framing.__version__
    assert bundle.decisions.thresholds == {"alarm": 0.5, "hope": 0.5, "advert": 0.5}
    assert bundle.files["model.onnx"] == (folder / "model.onnx").read_bytes()
    assert sorted(p.name for p in folder.iterdir()) == sorted([*FILES, MANIFEST])


def test_writing_twice_gives_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    tiny.make_bundle(tmp_path / "again")
    assert (folder / MANIFEST).read_bytes() == (tmp_path / "again" / MANIFEST).read_bytes()


def test_fingerprint_is_about_behaviour(folder: Path, tmp_path: Path) -> None:
    first = open_bundle(folder).fingerprint
    (folder / "README.md").write_text("# another card\n")
    carded = write_bundle(folder, name="renamed", kind="encoder", max_tokens=32)
    assert carded.fingerprint == first
    assert write_bundle(folder, name="tiny", kind="encoder", max_tokens=64).fingerprint != first
    (folder / "metrics.json").write_text("{}")
    again = rewrite_manifest(folder)
    assert (again.name, again.max_tokens) == ("tiny", 64)
    assert again.fingerprint != first
    (folder / "training.json").write_text("{}")
    assert rewrite_manifest(folder).fingerprint == again.fingerprint
    assert open_bundle(folder).files["metrics.json"] == b"{}"
    raised = (folder / "decisions.json").read_text().replace("0.8", "0.9")
    (folder / "decisions.json").write_text(raised)
    assert write_bundle(folder, name="tiny", kind="encoder", max_tokens=32).fingerprint != first


def test_the_baseline_is_a_bundle_too(tmp_path: Path) -> None:
    staged = tiny.stage(tmp_path / "tfidf")
    for name in ("model.onnx", "tokenizer.json"):
        (staged / name).unlink()
    texts = ["a bomb", "a bomb again", "calm again", "a calm city", "subscribe", "subscribe now"]
    targets = np.repeat(np.eye(3), 2, axis=0)
    Tfidf.fit(texts, targets).save(staged)
    write_bundle(staged, name="tiny-tfidf", kind="tfidf")
    model = load(staged)
    assert model.predict_proba(texts).shape == (6, 3)
    assert model.predict_proba(["a bomb"]).argmax() == 0


# ---- names


def test_names_resolve_to_shipped_bundles_and_paths(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert find_bundle(folder) == folder
    for name, path in shipped_bundles().items():
        assert find_bundle(name) == path
    monkeypatch.chdir(tmp_path)
    assert find_bundle("tiny") == Path("tiny")
    with pytest.raises(BundleError, match=r"nowhere: there is no such bundle; give a folder or"):
        find_bundle("nowhere")


def test_a_file_or_an_empty_folder_is_no_bundle(folder: Path, tmp_path: Path) -> None:
    assert "is not a folder" in refusal(folder / "model.onnx")
    (tmp_path / "empty").mkdir()
    assert "manifest.json: is missing" in refusal(tmp_path / "empty")


# ---- tampering


@pytest.mark.parametrize("name", FILES)
def test_a_flipped_bit_is_found_in_every_file(folder: Path, name: str) -> None:
    data = bytearray((folder / name).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / name).write_bytes(data)
    assert f"{name}: its SHA-256 is not the one in the manifest" in refusal(folder)


@pytest.mark.parametrize("name", FILES)
def test_a_longer_or_shorter_file_is_refused(folder: Path, name: str) -> None:
    data = (folder / name).read_bytes()
    (folder / name).write_bytes(data + b" ")
    assert f"{name}: is {len(data) + 1:,} bytes" in refusal(folder)
    (folder / name).write_bytes(data[:-1])
    assert f"{name}: is {len(data) - 1:,} bytes" in refusal(folder)


@pytest.mark.parametrize("name", [*FILES, MANIFEST])
def test_a_missing_file_is_refused(folder: Path, name: str) -> None:
    (folder / name).unlink()
    assert f"{name}: is missing" in refusal(folder)


@pytest.mark.parametrize("name", [*FILES, MANIFEST])
def test_links_are_not_followed(folder: Path, tmp_path: Path, name: str) -> None:
    (folder / name).rename(tmp_path / "elsewhere")
    (folder / name).symlink_to(tmp_path / "elsewhere")
    assert f"{name}: is not a regular file" in refusal(folder)


@pytest.mark.parametrize("name", ["README.md", MANIFEST])
def test_pipes_and_folders_are_not_opened(folder: Path, name: str) -> None:
    (folder / name).unlink()
    os.mkfifo(folder / name)
    assert f"{name}: is not a regular file" in refusal(folder)
    (folder / name).unlink()
    (folder / name).mkdir()
    assert f"{name}: is not a regular file" in refusal(folder)


def test_extra_files_are_refused_and_dot_files_ignored(folder: Path) -> None:
    (folder / ".DS_Store").write_text("x")
    open_bundle(folder)
    (folder / "model.pkl").write_text("x")
    assert "'model.pkl': does not belong to the bundle" in refusal(folder)


def test_a_linked_folder_is_the_users_choice(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(folder)
    assert open_bundle(tmp_path / "link").name == "tiny"


# ---- the manifest


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"format": 2}, "which only a newer framing reads"),
        ({"format": True}, "must hold format 1"),
        ({"extra": 1}, "exactly the fields"),
        ({"name": "../core-en"}, "name must be"),
        ({"name": ""}, "name must be"),
        ({"kind": "pickle"}, "kind must be one of"),
        ({"kind": ["encoder"]}, "kind must be one of"),
        ({"labels": []}, "at least one name"),
        ({"labels": ["alarm", "alarm"]}, "each once"),
        ({"labels": ["hope", "alarm", "advert"]}, "fingerprint"),
        ({"max_tokens": 10**9}, "max_tokens must be"),
        ({"max_tokens": True}, "max_tokens must be"),
        ({"max_tokens": None}, "max_tokens must be"),
        ({"max_tokens": 33}, "fingerprint"),
        ({"language": "e\nn"}, "language and created_with"),
        ({"files": {}}, "files must list exactly"),
        ({"fingerprint": "0" * 64}, "fingerprint"),
    ],
)
def test_the_manifest_is_strict(folder: Path, changes: dict[str, object], why: str) -> None:
    edit(folder, **changes)
    message = refusal(folder)
    assert MANIFEST in message
    assert why in message


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "sub/model.onnx", "model.onnx\0"])
def test_names_cannot_leave_the_folder(folder: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / "secret").write_text("x")
    files = json.loads((folder / MANIFEST).read_text())["files"]
    files[name] = files.pop("model.onnx")
    edit(folder, files=files)
    assert "files must list exactly" in refusal(folder)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b"\xff",
        b'{"format": 1, "format": 1}',
        b'{"format": NaN}',
        b"[" * 100_000,
        b'{"format": ' + b"9" * 5000 + b"}",
        b" " * (1 << 20) + b"{}",
    ],
    ids=["empty", "list", "bytes", "twice", "nan", "deep", "digits", "large"],
)
def test_a_manifest_that_is_no_manifest(folder: Path, raw: bytes) -> None:
    (folder / MANIFEST).write_bytes(raw)
    assert MANIFEST in refusal(folder)


@brief
@given(data=st.data())
def test_a_spoiled_manifest_never_does_more_than_refuse(folder: Path, data: st.DataObject) -> None:
    good = tiny_manifest(folder)
    at = data.draw(st.integers(0, len(good) - 1))
    with_ = data.draw(st.binary(max_size=4))
    spoiled = good[:at] + with_ + good[at + data.draw(st.integers(0, 8)) :]
    (folder / MANIFEST).write_bytes(spoiled)
    try:
        bundle = open_bundle(folder)
    except BundleError:
        pass
    else:  # only what the fingerprint does not cover may differ
        assert bundle.labels == tiny.LABELS
        assert bundle.max_tokens == 32
    finally:
        (folder / MANIFEST).write_bytes(good)


def tiny_manifest(folder: Path) -> bytes:
    return (folder / MANIFEST).read_bytes()


# ---- the writer holds itself to the same rules


def test_the_writer_refuses_what_the_reader_would(tmp_path: Path) -> None:
    staged = tiny.stage(tmp_path / "staged")
    with pytest.raises(BundleError, match="max_tokens must be"):
        write_bundle(staged, name="tiny", kind="encoder")
    with pytest.raises(BundleError, match="name must be"):
        write_bundle(staged, name="a/b", kind="encoder", max_tokens=32)
    (staged / "notes.txt").write_text("x")
    with pytest.raises(BundleError, match=r"'notes\.txt': does not belong"):
        write_bundle(staged, name="tiny", kind="encoder", max_tokens=32)
    (staged / "notes.txt").unlink()
    (staged / "decisions.json").write_text("{}")
    with pytest.raises(BundleError, match=r"decisions\.json: is malformed \(must hold the labels"):
        write_bundle(staged, name="tiny", kind="encoder", max_tokens=32)
    assert not (staged / MANIFEST).exists()


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("codebook.yaml", b"\xff", "is not UTF-8"),
        ("codebook.yaml", b"name: x", "codebook.yaml: "),
        ("codebook.yaml", b"!!python/object/apply:os.system ['true']", "codebook.yaml: "),
        ("decisions.json", b"[1]", "decisions.json: is malformed"),
        ("decisions.json", b"\xff", "decisions.json: is malformed"),
        ("tokenizer.json", b"{}", "tokenizer.json: model must be a JSON object"),
        ("tokenizer.json", b"[" * 99_999, "tokenizer.json: is malformed"),
        ("model.onnx", b"", "model.onnx: holds 0 graphs"),
        ("model.onnx", b"\x80\x04\x95pickle", "model.onnx: holds field 64, which is not known"),
        ("model.onnx", b"\x0a\x05", "model.onnx: is not well-formed"),
    ],
)
def test_content_is_checked_in_every_file(
    tmp_path: Path, name: str, content: bytes, why: str
) -> None:
    staged = tiny.stage(tmp_path / "staged")
    (staged / name).write_bytes(content)
    with pytest.raises(BundleError) as caught:
        write_bundle(staged, name="tiny", kind="encoder", max_tokens=32)
    assert why in str(caught.value)
    assert "\n" not in str(caught.value)


# ---- what an ONNX file may hold

STRING = tiny.field(1, "location") + tiny.field(2, "/etc/passwd")
OUTSIDE = tiny.field(13, STRING) + tiny.field(14, 1)
BAD_TENSOR = tiny.tensor("x", (1,), 1, b"\0" * 4, OUTSIDE)
IDENTITY = tiny.node("Identity", "a", "b")


def attribute(number: int, value: bytes) -> bytes:
    return tiny.field(5, tiny.field(1, "body") + tiny.field(number, value))


@pytest.mark.parametrize(
    ("spoiled", "why"),
    [
        ({"initializers": tiny.field(5, BAD_TENSOR)}, "external data in a tensor"),
        ({"initializers": tiny.field(5, tiny.field(14, 1))}, "external data in a tensor"),
        ({"initializers": tiny.field(15, tiny.field(1, BAD_TENSOR))}, "sparse tensors in a graph"),
        (
            {"nodes": tiny.field(1, tiny.node("Constant", "", "x", attribute(5, BAD_TENSOR)))},
            "external data in a tensor",
        ),
        (
            {"nodes": tiny.field(1, tiny.node("Constant", "", "x", attribute(10, BAD_TENSOR)))},
            "external data in a tensor",
        ),
        (
            {"nodes": tiny.field(1, tiny.node("Constant", "", "x", attribute(22, b"")))},
            "a sparse tensor in a attribute",
        ),
        (
            {"nodes": tiny.field(1, tiny.node("Identity", "a", "b", attribute(6, b"")))},
            "a nested graph",
        ),
        (
            {"nodes": tiny.field(1, tiny.node("Identity", "a", "b", attribute(11, b"")))},
            "nested graphs",
        ),
        ({"nodes": tiny.field(1, tiny.node("If", "a", "b"))}, "operator 'If'"),
        ({"nodes": tiny.field(1, tiny.node("Loop", "a", "b"))}, "operator 'Loop'"),
        (
            {"nodes": tiny.field(1, tiny.node("PyOp", "a", "b", domain="ai.onnx.contrib"))},
            "operator 'PyOp'",
        ),
        (
            {"nodes": tiny.field(1, tiny.node("Add", "a", "b", domain="com.evil"))},
            "domain 'com.evil'",
        ),
        ({"nodes": tiny.field(1, IDENTITY + tiny.field(4, "If"))}, "operator 'If'"),
        ({"nodes": tiny.field(1, tiny.field(1, "a"))}, "a node without an operator"),
        ({"model": tiny.field(8, tiny.field(1, "com.microsoft"))}, "domain 'com.microsoft'"),
        ({"model": tiny.field(25, b"")}, "functions in a model"),
        ({"model": tiny.field(20, b"")}, "training information"),
        ({"model": tiny.field(99, b"")}, "field 99"),
        ({"model": tiny.field(7, b"")}, "holds 2 graphs"),
    ],
)
def test_onnx_that_could_reach_outside_is_refused(spoiled: dict[str, bytes], why: str) -> None:
    check_onnx(tiny.onnx_model())
    with pytest.raises(OnnxRefused) as caught:
        check_onnx(tiny.onnx_model(**spoiled))  # type: ignore[arg-type]
    assert why in str(caught.value)


def test_onnx_runtimes_own_format_is_refused_even_where_it_is_protobuf() -> None:
    disguised = tiny.field(2, b"\0\0ORTM") + tiny.onnx_model()
    assert disguised[4:8] == b"ORTM"
    with pytest.raises(OnnxRefused, match="own format"):
        check_onnx(disguised)


def test_onnx_with_endless_fields_is_given_up() -> None:
    with pytest.raises(OnnxRefused, match="more than 1,000,000 protobuf fields"):
        check_onnx(tiny.field(1, 8) * 1_000_001)


@brief
@given(data=st.binary(max_size=300))
def test_any_bytes_are_refused_or_walked(data: bytes) -> None:
    with pytest.raises(OnnxRefused):
        check_onnx(data)


@brief
@given(data=st.data())
def test_a_spoiled_model_never_does_more_than_refuse(folder: Path, data: st.DataObject) -> None:
    good = tiny.onnx_model()
    at = data.draw(st.integers(0, len(good) - 1))
    spoiled = good[:at] + data.draw(st.binary(max_size=4)) + good[at + 1 :]
    (folder / "model.onnx").write_bytes(spoiled)
    (folder / MANIFEST).unlink(missing_ok=True)
    try:
        write_bundle(folder, name="tiny", kind="encoder", max_tokens=32)
        model = load(folder)
        assert model.predict_proba(["a bomb"]).shape == (1, 3)
    except BundleError as error:
        assert "model.onnx" in str(error)  # noqa: PT017 - most are refused, some are harmless


# ---- what a tokenizer may hold


@pytest.mark.parametrize(
    ("part", "value", "why"),
    [
        ("normalizer", {"type": "Custom"}, "normalizer of type 'Custom'"),
        ("pre_tokenizer", {"type": ["x"]}, ""),
        ("pre_tokenizer", {"type": "Split", "pattern": {"Regex": "(a+)+$"}}, "'Split'"),
        (
            "normalizer",
            {"type": "Replace", "pattern": {"Regex": "(a+)+$"}, "content": ""},
            "regular expression",
        ),
        ("normalizer", {"type": "Sequence"}, "malformed or too deep"),
        ("decoder", "WordPiece", "decoder must be a JSON object"),
        ("model", {"type": "WordPiece"}, "no vocabulary"),
        ("model", {"type": "WordPiece", "vocab": {"a": -1}, "unk_token": "a"}, "number its"),
        ("model", {"type": "WordPiece", "vocab": {"a": 0}, "unk_token": "b"}, "unknown words"),
        ("model", {"type": "Other", "vocab": {}}, "model of type 'Other'"),
        ("added_tokens", [{"id": 0, "content": ""}], "an added token"),
        ("added_tokens", [{"id": 2**40, "content": "x"}], "an added token"),
        ("extra", 1, "'extra', which is not known"),
    ],
)
def test_a_tokenizer_of_unknown_parts_is_refused(part: str, value: object, why: str) -> None:
    check_tokenizer(tiny.tokenizer_table())
    with pytest.raises((TokenizerRefused, TypeError)) as caught:
        check_tokenizer(tiny.tokenizer_table() | {part: value})
    assert why in str(caught.value)


def test_usual_encoders_tokenizers_are_accepted() -> None:
    bert = {"type": "BertNormalizer"}
    roberta = tiny.tokenizer_table() | {
        "normalizer": {"type": "Sequence", "normalizers": [{"type": "NFC"}, bert]},
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False},
        "post_processor": {"type": "RobertaProcessing"},
        "model": {"type": "BPE", "vocab": {"a": 0}, "merges": []},
    }
    check_tokenizer(roberta)
    xlm = tiny.tokenizer_table() | {
        "normalizer": {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "},
        "pre_tokenizer": {"type": "Metaspace", "replacement": "▁"},
        "model": {"type": "Unigram", "vocab": [["a", -1.0]], "unk_id": 0},
    }
    check_tokenizer(xlm)


# ---- the baseline's arrays


@pytest.mark.parametrize("compressed", [True, False], ids=["compressed", "objects"])
def test_archives_that_could_unfold_are_refused(tmp_path: Path, compressed: bool) -> None:
    staged = tiny.stage(tmp_path / "tfidf")
    for name in ("model.onnx", "tokenizer.json"):
        (staged / name).unlink()
    terms = {"format": "framing tfidf 1", "terms": ["a"]}
    (staged / "baseline.json").write_text(json.dumps(terms))
    buffer = io.BytesIO()
    np.save(buffer, np.array([print], dtype=object), allow_pickle=True)
    method = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
    with zipfile.ZipFile(staged / "baseline.npz", "w", method) as archive:
        for name in ("idf", "coef", "intercept"):
            archive.writestr(f"{name}.npy", b"\0" * 10_000 if compressed else buffer.getvalue())
    with pytest.raises(BundleError, match=r"baseline\.npz"):
        write_bundle(staged, name="tiny", kind="tfidf") and load(staged)
