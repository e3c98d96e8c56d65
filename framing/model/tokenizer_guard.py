"""A look into `tokenizer.json` before the `tokenizers` library may build anything from it.

Only the components that published encoders use are accepted, and no regular expression but the
ones known here: an expression of somebody else's choosing can run for ever.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MAX_TOKENS = 1_000_000
MAX_DEPTH = 4

_PARTS = {"version", "truncation", "padding", "added_tokens", "normalizer", "pre_tokenizer"} | {
    "post_processor",
    "decoder",
    "model",
}
_MODELS = {"WordPiece", "BPE", "Unigram", "WordLevel"}
_COMPONENTS = {
    "normalizer": {"BertNormalizer", "Lowercase", "NFC", "NFD", "NFKC", "NFKD", "Nmt"}
    | {"Precompiled", "Prepend", "Replace", "Strip", "StripAccents"},
    "pre_tokenizer": {"BertPreTokenizer", "ByteLevel", "Digits", "Metaspace", "Punctuation"}
    | {"Whitespace", "WhitespaceSplit"},
    "post_processor": {"BertProcessing", "ByteLevel", "RobertaProcessing", "TemplateProcessing"},
    "decoder": {"BPEDecoder", "ByteFallback", "ByteLevel", "Fuse", "Metaspace", "Replace"}
    | {"Strip", "WordPiece"},
}
_CHILDREN = {
    "normalizer": "normalizers",
    "pre_tokenizer": "pretokenizers",
    "post_processor": "processors",
    "decoder": "decoders",
}
_KNOWN_EXPRESSIONS = {" {2,}"}


class TokenizerRefused(ValueError):  # noqa: N818 - a refusal, in the words of the bundle
    """The file is not a tokenizer that framing is willing to build; the message says why."""


def check_tokenizer(table: object) -> None:
    """Accept the parsed `tokenizer.json` of a usual encoder, or say what is wrong with it.

    Raises
    ------
    TokenizerRefused
        An unknown part or component, a regular expression that is not known, or a vocabulary
        that is empty, too large or not one of tokens and numbers.
    """
    parts = _object(table, "the file")
    if unknown := sorted(set(parts) - _PARTS):
        raise TokenizerRefused(f"holds {_shown(unknown[0])}, which is not known")
    for slot in _COMPONENTS:
        if parts.get(slot) is not None:
            _check_component(slot, parts[slot], MAX_DEPTH)
    _check_model(_object(parts.get("model"), "model"))
    added = parts.get("added_tokens", [])
    if not isinstance(added, list) or len(added) > MAX_TOKENS:
        raise TokenizerRefused("added_tokens must be a list")
    for token in added:
        entry = _object(token, "an added token")
        content = entry.get("content")
        if not isinstance(content, str) or not 0 < len(content) <= 100 or not _is_id(entry["id"]):
            raise TokenizerRefused("an added token must have a short content and a number")


def _check_component(slot: str, data: object, depth: int) -> None:
    component = _object(data, slot)
    kind = component.get("type")
    if kind == "Sequence":
        children = component.get(_CHILDREN[slot])
        if not isinstance(children, list) or not depth:
            raise TokenizerRefused(f"{slot} holds a sequence that is malformed or too deep")
        for child in children:
            _check_component(slot, child, depth - 1)
    elif kind not in _COMPONENTS[slot]:
        raise TokenizerRefused(f"{slot} of type {_shown(kind)} is not on the list of allowed ones")
    pattern = component.get("pattern")
    if isinstance(pattern, dict) and pattern.get("Regex", " {2,}") not in _KNOWN_EXPRESSIONS:
        raise TokenizerRefused(f"{slot} holds a regular expression that is not known")


def _check_model(model: Mapping[str, Any]) -> None:
    kind, vocabulary = model.get("type"), model.get("vocab")
    if kind not in _MODELS:
        raise TokenizerRefused(f"model of type {_shown(kind)} is not on the list of allowed ones")
    if not isinstance(vocabulary, list if kind == "Unigram" else dict):
        raise TokenizerRefused("model holds no vocabulary")
    if not 0 < len(vocabulary) <= MAX_TOKENS:
        raise TokenizerRefused(f"the vocabulary must hold 1 to {MAX_TOKENS:,} tokens")
    if isinstance(vocabulary, dict) and not all(map(_is_id, vocabulary.values())):
        raise TokenizerRefused("the vocabulary must number its tokens")
    if kind in ("WordPiece", "WordLevel") and model.get("unk_token") not in vocabulary:
        raise TokenizerRefused("the token for unknown words is not in the vocabulary")


def _is_id(value: object) -> bool:
    return type(value) is int and 0 <= value < MAX_TOKENS


def _object(value: object, what: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise TokenizerRefused(f"{what} must be a JSON object")
    return value


def _shown(value: object) -> str:
    return ascii(value)[:60]
