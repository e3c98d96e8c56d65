"""The manifest of a bundle: what a bundle may hold, and the strict reading of `manifest.json`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Literal, NoReturn

FORMAT = 1
MANIFEST = "manifest.json"
CARD = "README.md"
CODEBOOK = "codebook.yaml"
DECISIONS = "decisions.json"
MODEL = "model.onnx"
TOKENIZER = "tokenizer.json"
TABLE, ARRAYS = "baseline.json", "baseline.npz"
FIRST_STAGE = "first_stage.npz"
RECORDS = frozenset(
    {"training.json", "metrics.json", "audit.json", "benchmarks.json", "first_stage.json"}
)

Kind = Literal["encoder", "tfidf"]
KINDS: Mapping[str, frozenset[str]] = {
    "encoder": frozenset({CARD, CODEBOOK, DECISIONS, MODEL, TOKENIZER}),
    "tfidf": frozenset({CARD, CODEBOOK, DECISIONS, TABLE, ARRAYS}),
}
# What a bundle of a kind may hold besides, and what it does otherwise does not depend on.
MAY_HOLD: Mapping[str, frozenset[str]] = {
    "encoder": RECORDS | {FIRST_STAGE},
    "tfidf": RECORDS,
}
_MB = 1 << 20
LARGEST = {
    MANIFEST: _MB,
    CARD: 4 * _MB,
    CODEBOOK: 4 * _MB,
    DECISIONS: 4 * _MB,
    MODEL: 2048 * _MB,  # protobuf's own limit
    TOKENIZER: 64 * _MB,
    TABLE: 64 * _MB,
    ARRAYS: 512 * _MB,
    FIRST_STAGE: 64 * _MB,
    **dict.fromkeys(RECORDS, 4 * _MB),
}
_FIELDS = {"format", "name", "kind", "labels", "max_tokens", "language", "created_with"} | {
    "files",
    "fingerprint",
}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_HASH = re.compile(r"[0-9a-f]{64}")
_SHORT = re.compile(r"[\w.+ -]{1,64}", re.ASCII)


class ManifestRefused(ValueError):  # noqa: N818 - a refusal, in the words of the bundle
    """The bytes are not the manifest of a bundle; the message says why."""


def check_manifest(raw: bytes) -> dict[str, Any]:
    """The manifest as data, every field of the right type and nothing more.

    Raises
    ------
    ManifestRefused
        The first thing that is wrong with it.
    """
    try:
        m = parse_json(raw)
    except ValueError as error:
        _refuse(f"is not strict JSON ({error})")
    if not isinstance(m, dict):
        _refuse("is not a JSON object")
    if type(m.get("format")) is int and m["format"] > FORMAT:
        _refuse(f"has format {m['format']}, which only a newer framing reads")
    if set(m) != _FIELDS or type(m["format"]) is not int or m["format"] != FORMAT:
        _refuse(f"must hold format {FORMAT} and exactly the fields {', '.join(sorted(_FIELDS))}")
    if not _matches(_NAME, m["name"]):
        _refuse("name must be 1 to 64 letters, digits, dots, dashes or underscores")
    if not isinstance(m["kind"], str) or m["kind"] not in KINDS:
        _refuse(f"kind must be one of {', '.join(KINDS)}")
    if not _matches(_SHORT, m["language"]) or not _matches(_SHORT, m["created_with"]):
        _refuse("language and created_with must be short plain text")
    labels = m["labels"]
    if not isinstance(labels, list) or not all(isinstance(x, str) and x for x in labels):
        _refuse("labels must be a list of names")
    if not labels or len(set(labels)) < len(labels):
        _refuse("labels must be at least one name, each once")
    tokens = m["max_tokens"]
    if m["kind"] == "encoder" and not (type(tokens) is int and 16 <= tokens <= 8192):
        _refuse("max_tokens must be 16 to 8192")
    if m["kind"] != "encoder" and tokens is not None:
        _refuse(f"max_tokens must be null for kind {m['kind']}")
    files = m["files"]
    if not isinstance(files, dict) or set(files) - MAY_HOLD[m["kind"]] != KINDS[m["kind"]]:
        _refuse(f"files must list exactly {', '.join(sorted(KINDS[m['kind']]))}")
    for name, entry in files.items():
        if not isinstance(entry, dict) or set(entry) != {"size", "sha256"}:
            _refuse(f"files: {name} must hold exactly size and sha256")
        if type(entry["size"]) is not int or not 0 <= entry["size"] <= LARGEST[name]:
            _refuse(f"files: the size of {name} must be 0 to {LARGEST[name]:,} bytes")
        if not _matches(_HASH, entry["sha256"]):
            _refuse(f"files: the sha256 of {name} must be 64 hexadecimal digits")
    if m["fingerprint"] != fingerprint(m):
        _refuse("fingerprint is not that of the fields and hashes beside it")
    return m


def fingerprint(manifest: Mapping[str, Any]) -> str:
    """SHA-256 of what decides the bundle's behaviour.

    Card, records, name and version do not, and the first stage only where it is asked for: it has
    a fingerprint of its own.
    """
    about = RECORDS | {CARD, FIRST_STAGE}
    behaviour = {
        "kind": manifest["kind"],
        "labels": manifest["labels"],
        "max_tokens": manifest["max_tokens"],
        "files": {n: e["sha256"] for n, e in manifest["files"].items() if n not in about},
    }
    canonical = json.dumps(behaviour, sort_keys=True, separators=(",", ":"))
    return sha256(canonical.encode()).hexdigest()


def parse_json(raw: bytes) -> Any:
    """Strict JSON: UTF-8, no name twice in an object, no NaN; ValueError otherwise."""
    try:
        return json.loads(
            raw.decode(), object_pairs_hook=_without_twins, parse_constant=_refuse_constant
        )
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        raise ValueError("a name stands twice in one object")
    return table


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _refuse(why: str) -> NoReturn:
    raise ManifestRefused(why)


def _matches(pattern: re.Pattern[str], value: object) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None
