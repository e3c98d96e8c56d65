"""What a worker does with a shard: read its items, score them, make the tables."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial

from framing.corpus.inputs import Item, resolve
from framing.corpus.manifest import RunRefused
from framing.corpus.shard import Shard
from framing.corpus.tables import NAMES, Rows, Tables, schema
from framing.model.bundle import Bundle, BundleError, find_bundle, open_bundle
from framing.model.classifier import Model, Unit, load
from framing.model.first_stage import open_first_stage
from framing.model.scored import Provenance
from framing.model.stream import Options, score_batch, with_language
from framing.text.columns import Choice
from framing.text.document import Document, Failure, Reason
from framing.text.segment import segment, titled

Beat = Callable[..., None]

# Documents are scored together, so that passages of one length share batches.
_DOCUMENTS_AT_A_TIME = 64
# A panic in a native library is a BaseException of its own: everything is caught but these.
_STOP = (KeyboardInterrupt, SystemExit, GeneratorExit)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """All that decides what a run writes, beside its input, its bundle and the version.

    The first three are those of `framing score`. `include_text` adds each passage's text to its
    row. With `dedup`, near-copies are found and only the first of a kind is scored. With `fast`,
    the bundle's first stage decides the passages that it is certain of. `columns`
    are those the user names. A shard holds at most `documents` documents, and no more than one
    where they carry more than `size` bytes.
    """

    unit: Unit = "paragraph"
    min_confidence: float | None = None
    any_language: bool = False
    include_text: bool = False
    dedup: bool = False
    fast: bool = False
    columns: Choice = field(default_factory=Choice)
    documents: int = 256
    size: int = 4 << 20

    @property
    def scoring(self) -> Options:
        """Those that :mod:`framing.model.stream` takes."""
        return Options(
            unit=self.unit, min_confidence=self.min_confidence, any_language=self.any_language
        )


@dataclass(frozen=True, slots=True)
class Scoring:
    """The task of a run, to be sent to a worker and opened there."""

    bundle: str
    fingerprint: str
    options: RunOptions

    def open(self, threads: int) -> Callable[[Shard, Beat, bool], Tables]:
        """Load the model; what comes back is `score_shard` with it.

        Raises
        ------
        BundleError
            The bundle is refused, or is not the one the run began with.
        """
        model = load(self.bundle, threads=threads, fast=self.options.fast)
        if model.fingerprint != self.fingerprint:
            raise BundleError(
                self.bundle, None, "is no longer the bundle the run began with", "put that back"
            )
        return partial(score_shard, model, self.options)


def open_for(model: str, options: RunOptions) -> Bundle:
    """Open the bundle of a run, with a first stage where one is asked for.

    Raises
    ------
    BundleError
        It is refused.
    RunRefused
        It cannot do what the options ask for.
    """
    bundle = open_bundle(find_bundle(model))
    if options.fast and bundle.first_stage is None:
        raise RunRefused(
            f"bundle {bundle.path} has no first stage for --fast: leave that out, or distil one "
            "with `framing distill`"
        )
    if options.fast and options.min_confidence is not None:
        raise RunRefused(
            "--fast keeps what it promises at the bundle's own unsure bands: leave "
            "--min-confidence out"
        )
    if options.fast:
        open_first_stage(bundle)  # a wrong one is refused before anything begins
    return bundle


def provenance(model: Model | Bundle, options: RunOptions) -> Provenance:
    """What made the tables of a run."""
    first_stage = model.first_stage if options.fast else None
    return Provenance.of(model, asdict(options), first_stage)


def score_shard(
    model: Model, options: RunOptions, shard: Shard, beat: Beat, careful: bool
) -> Tables:
    """Read and score the items of a shard.

    Parameters
    ----------
    model, options, shard
        What the tables are a function of, and of nothing else.
    beat
        Told what begins: ``beat(index)`` before an item is read, ``beat(index, characters)``
        before that many characters, from this item on, are scored.
    careful
        Take the items one by one, and let an exception cost only the item it comes from.
    """
    labels, set_aside = model.labels, model.codebook.set_aside
    about = provenance(model, options)
    rows = Rows({t: schema(t, labels, set_aside, options.include_text, about) for t in NAMES})
    step = 1 if careful else _DOCUMENTS_AT_A_TIME
    for start in range(0, len(shard.items), step):
        part = range(start, min(start + step, len(shard.items)))
        try:
            _add(part, model, options.scoring, shard, beat, rows)
        except _STOP:
            raise
        except BaseException as crash:
            if not careful:
                raise
            item = shard.items[start]
            rows.failed(shard.names[item.source], item.position, _crashed(crash, item))
    return rows.tables()


def _add(part: range, model: Model, options: Options, shard: Shard, beat: Beat, rows: Rows) -> None:
    """Read and score some of the items together; their rows come last, and all of them."""
    places = [(shard.names[shard.items[i].source], shard.items[i].position) for i in part]
    contents: list[Document | Failure] = []
    for i, (name, _) in zip(part, places, strict=True):
        beat(i)
        contents.append(with_language(model, name, resolve(shard.items[i]), options))
    copies = {
        i: titled(content, segment(content))
        for i, content in zip(part, contents, strict=True)
        if i in shard.copies and isinstance(content, Document)
    }
    to_score = [
        (name, content)
        for i, (name, _), content in zip(part, places, contents, strict=True)
        if i not in copies
    ]
    beat(part[0], sum(len(c.text) for _, c in to_score if isinstance(c, Document)))
    results = iter(list(score_batch(model, to_score, options)))
    for i, (name, position) in zip(part, places, strict=True):
        if i in copies:
            source, first = shard.copies[i]
            rows.copy(name, position, copies[i], (shard.names[source], first))
        elif isinstance(result := next(results), Failure):
            rows.failed(name, position, result)
        else:
            rows.scored(name, position, result)


def _crashed(crash: BaseException, item: Item) -> Failure:
    reason = Reason.TOO_LARGE if isinstance(crash, MemoryError) else Reason.CRASHED
    what = " ".join(f"{type(crash).__name__}: {crash}".split())
    message = f"reading or scoring failed on it ({what:.200})"
    return Failure("", reason, message, id=item.id)
