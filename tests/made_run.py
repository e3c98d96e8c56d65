"""A run made in memory and committed by hand: what `framing run` leaves, without its processes."""

from pathlib import Path

from stubs import StubModel

from framing.corpus import manifest
from framing.corpus.inputs import Item, Source
from framing.corpus.manifest import Entry
from framing.corpus.scoring import RunOptions, provenance, score_shard
from framing.corpus.shard import cut
from framing.text.document import Document, Failure, Reason

SOURCE = "news/5 May.jsonl"
HOSTILE = '=HYPERLINK("http://evil.example","see")'


def document(number, **about):
    text = (
        f"Bridge {number} reopens\n\nThe minister said {20 + number} trains crossed the river on "
        "Monday morning.\n\n- The old timetable may be back in June\n\nIt was nobody's fault.\n\n"
        "Sign up for our letter."
    )
    return Document(**{"id": f"a{number}", "text": text, "source": "Example Times", **about})


#: Documents with what trips a spreadsheet or a reader, and one that could not be read.
CONTENTS = (
    document(0, title=HOSTILE, date="2026-05-05"),
    document(1, id="-1+2", author='A. "Quill", reporter', warnings=("was cut; see there", "odd")),
    document(2, text=f"{HOSTILE}\n\n@SUM(A1)\n\n\u202eПривет, 世界 🌉\x0b\x07 end", language="en"),
    Failure("news/5 May.jsonl", Reason.MALFORMED, "=broken: mend it", "line 4"),
    *(document(number) for number in range(4, 11)),
)


def make_run(
    out, contents=CONTENTS, *, per_shard=3, part=(1, 1), include_text=True, copies=None, shards=None
):
    """Commit `contents` as a run, complete unless `shards` says how many of it are done."""
    options = RunOptions(any_language=True, include_text=include_text, documents=per_shard)
    source = Source(0, SOURCE, Path("unused"), 0, "0" * 64)
    items = [Item(0, position, content) for position, content in enumerate(contents)]
    about = provenance(StubModel(), options).to_dict()
    pins = {**about, "part": list(part), "sources": {"files": 1}}
    listed = b'{"name": "news/5 May.jsonl"}\n'
    out.mkdir(parents=True, exist_ok=True)
    manifest.start(out, pins, listed)
    progress = manifest.resume(out, listed)

    def first_of(source, position):
        return (copies or {}).get((source, position))

    for shard in cut(items, [source], documents=per_shard, first_of=first_of):
        if shard.number % part[1] != part[0] - 1:
            continue
        if progress.shards == shards:
            return out
        tables = score_shard(StubModel(), options, shard, lambda *_: None, False)
        entry = Entry.of(shard.number, shard.first, shard.next, tables)
        manifest.commit(out, entry, tables)
        progress = progress.after(entry)
    manifest.complete(out, progress)
    return out
