"""What the tests of corpus runs share: small corpora, runs of the command, what a run wrote."""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

import framing
from framing.corpus.scoring import RunOptions

OPTIONS = RunOptions(documents=16)  # a small corpus is several shards with these
# the framing under test, installed or not
ENVIRONMENT = os.environ | {
    "PYTHONPATH": str(Path(framing.__file__).parents[1]),
    "OMP_NUM_THREADS": "1",
}
# what may differ between two runs of the same: the lock, and the log of times and hosts
_NOT_OUTPUT = {".lock", "log.jsonl"}
_SENTENCES = (
    "The city said that the bomb on the river was old.",
    "There was panic in the city and fear of the river.",
    "The mayor said there was calm in the city, and peace on the river.",
    "Subscribe to the city letter.",
    "The bridge over the river was shut on Tuesday, the council said.",
    "Nobody in the city could say when the ferry would sail again.",
)


def article(seed: int, paragraphs: int = 6) -> str:
    """Some paragraphs of the tiny bundle's words."""
    draw = random.Random(seed)
    return "\n\n".join(
        " ".join(draw.choices(_SENTENCES, k=draw.randint(1, 4))) for _ in range(paragraphs)
    )


def make_corpus(folder: Path, documents: int = 60) -> Path:
    """A folder of JSON lines with bad rows among them, a CSV, texts and pages, good and bad."""
    folder.mkdir(parents=True)
    with (folder / "a.jsonl").open("w", encoding="utf-8") as file:
        for i in range(documents // 2):
            row = {"id": f"a{i}", "title": f"Report {i}", "text": article(i), "source": "Gazette"}
            file.write(json.dumps(row) + "\n")
            if i % 7 == 3:
                file.write('{"text": \n')
            if i % 11 == 5:
                file.write('{"text": ""}\n')
    with (folder / "b.csv").open("w", encoding="utf-8") as file:
        file.write("id,text\n")
        file.writelines(
            f'b{i},"{article(1000 + i, 2).replace(chr(10), " ")}"\n' for i in range(documents // 4)
        )
    pages = folder / "pages"
    pages.mkdir()
    for i in range(documents // 8):
        (pages / f"{i:03}.txt").write_text(article(2000 + i), encoding="utf-8")
    (pages / "empty.txt").write_bytes(b"")
    (pages / "broken.pdf").write_bytes(b"%PDF-1.7\nnothing")
    (pages / "good.html").write_text(
        f"<html><head><title>River</title></head><body><article><p>{article(7, 1)}</p>"
        f"<p>{article(8, 1)}</p></article></body></html>",
        encoding="utf-8",
    )
    return folder


def command(*args: object) -> list[str]:
    """`framing run` as a command line."""
    return [sys.executable, "-m", "framing", "run", *map(str, args)]


def framing_run(*args: object, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    return subprocess.run(
        command(*args),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        env=ENVIRONMENT,
    )


def written(out: Path) -> dict[str, str]:
    """What is the output of a run: every file, and the hash of what it holds."""
    return {
        path.relative_to(out).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(out.rglob("*"))
        if path.is_file() and path.name not in _NOT_OUTPUT
    }


def rows(out: Path, table: str) -> list[dict[str, Any]]:
    """A table of a run."""
    found: list[dict[str, Any]] = pq.read_table(out / table).to_pylist()
    return found


def processes_of(session: int) -> dict[int, int]:
    """The living processes of a session, with their resident memory in bytes."""
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[3]) == session and fields[0] != "Z":
                found[int(stat.parent.name)] = int(fields[21]) * os.sysconf("SC_PAGE_SIZE")
        except (OSError, IndexError):
            continue  # gone
    return found
