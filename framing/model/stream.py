"""Files in, scored documents and failures out, in order: one bad document costs one document."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from framing.model.classifier import Model, Unit
from framing.model.scored import Provenance, ScoredDocument
from framing.text.document import Document, Failure, Reason
from framing.text.language import detect
from framing.text.readers import read_documents

# Documents are scored together, so that short ones share batches and threads have work.
_DOCUMENTS_AT_A_TIME = 16
_CHARACTERS_AT_A_TIME = 60_000
# A panic in a native library is a BaseException of its own: everything is caught but these.
_STOP = (KeyboardInterrupt, SystemExit, GeneratorExit, MemoryError)

Item = Document | Failure


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How to read and score; the first three are those of :meth:`Model.score`."""

    unit: Unit = "paragraph"
    evidence: bool = False
    min_confidence: float | None = None
    any_language: bool = False
    text_column: str | None = None

    @property
    def scoring(self) -> dict[str, Any]:
        """The arguments for :meth:`Model.score`."""
        return {
            "unit": self.unit,
            "evidence": self.evidence,
            "min_confidence": self.min_confidence,
        }


def provenance(model: Model, options: Options) -> Provenance:
    """What makes the results of :func:`score_files`."""
    return Provenance.of(model, asdict(options))


def ids_of(paths: Iterable[str]) -> dict[str, str]:
    """What documents without an id are called, by path: the file's name, where no other has it."""
    names = {path: Path(path).name for path in paths}
    count = Counter(names.values())
    return {path: name if count[name] == 1 else path for path, name in names.items()}


def score_files(
    model: Model,
    paths: Iterable[str | os.PathLike[str]],
    options: Options,
    ids: Mapping[str, str] | None = None,
) -> Iterator[ScoredDocument | Failure]:
    """Read and score `paths` one after the other; "-" is standard input.

    Yields a scored document or a failure for each document, in reading order. A document in a
    language that the model does not read is a failure, or with `options.any_language` is scored
    with a warning. `ids` are those of :func:`ids_of`; the files' names without it.
    """
    for batch in _batches(_read(model, paths, options, ids or {}), single=options.evidence):
        yield from score_batch(model, batch, options)


def _read(
    model: Model,
    paths: Iterable[str | os.PathLike[str]],
    options: Options,
    ids: Mapping[str, str],
) -> Iterator[tuple[str, Item]]:
    """Every item with the path it came from."""
    for path in paths:
        label = "stdin" if path == "-" else os.fspath(path)
        called = ids.get(label)
        for item in read_documents(path, text_column=options.text_column, called=called):
            yield label, with_language(model, label, item, options)


def with_language(model: Model, label: str, item: Item, options: Options) -> Item:
    """A document with its language, or a failure where the model does not read that."""
    if isinstance(item, Failure):
        return item
    language, _ = detect(item.text[item.body_start :])
    item = replace(item, language=language)
    if language in (model.language, "und") or options.any_language:
        return item
    return _failure(
        label,
        item,
        Reason.LANGUAGE,
        f"the language is {language} and the model reads {model.language}; "
        "--any-language scores it all the same",
    )


def _failure(path: str, document: Document, reason: Reason, message: str) -> Failure:
    where = None if document.id in (Path(path).name, path) else document.id
    return Failure(path, reason, message, where, document.id)


def _batches(items: Iterable[tuple[str, Item]], single: bool) -> Iterator[list[tuple[str, Item]]]:
    batch: list[tuple[str, Item]] = []
    characters = 0
    for path, item in items:
        batch.append((path, item))
        characters += len(item.text) if isinstance(item, Document) else 0
        if single or len(batch) == _DOCUMENTS_AT_A_TIME or characters > _CHARACTERS_AT_A_TIME:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch


def score_batch(
    model: Model, batch: Sequence[tuple[str, Item]], options: Options
) -> Iterator[ScoredDocument | Failure]:
    """Score a batch of items, each with the path it came from, together.

    Where that crashes, they are scored one by one, to lose only what crashes it.
    """
    documents = [item for _, item in batch if isinstance(item, Document)]
    try:
        scored = iter(list(model.score_many(documents, **options.scoring)))
    except _STOP:
        raise
    except BaseException:
        for path, item in batch:
            yield item if isinstance(item, Failure) else _score_alone(model, path, item, options)
        return
    for _, item in batch:
        yield item if isinstance(item, Failure) else next(scored)


def _score_alone(
    model: Model, path: str, document: Document, options: Options
) -> ScoredDocument | Failure:
    try:
        return model.score(document, **options.scoring)
    except _STOP:
        raise
    except BaseException as crash:
        if "FRAMING_DEBUG" in os.environ:
            raise
        what = " ".join(f"{type(crash).__name__}: {crash}".split())
        return _failure(path, document, Reason.CRASHED, f"scoring failed on it ({what})")
