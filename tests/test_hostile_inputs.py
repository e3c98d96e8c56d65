"""Malformed inputs among clean ones: an error row each, and nothing changes for the clean."""

import json
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from malformed import BAD, write_bad, write_clean
from runs import ENVIRONMENT, framing_run
from tiny import make_bundle

from framing.text.document import Reason

SECONDS, MEGABYTES = 10, 500

# Reads every source in a fresh process: the longest time, and how much the memory grew.
MEASURE = """
import json, resource, sys, time
import pyarrow.parquet, pypdfium2, trafilatura
from framing.corpus.inputs import find_sources, items, resolve
from framing.text.columns import Choice
from framing.text.document import Document

list(map(resolve, items(find_sources([sys.argv[2]]).sources[0], Choice())))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
report = {}
for source in find_sources([sys.argv[1]]).sources:
    begun = time.process_time()
    found = [resolve(item) for item in items(source, Choice())]
    reasons = [None if isinstance(each, Document) else each.reason for each in found]
    report[source.name] = (time.process_time() - begun, reasons)
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps([report, (after - before) / 1024]))
"""


def table(out: Path, kind: str) -> list[dict[str, object]]:
    files = sorted((out / kind).glob("*.parquet"))
    return [row for file in files for row in pq.read_table(file).to_pylist()]


def survives(tmp_path: Path, clean: int, bad: int) -> None:
    bundle = make_bundle(tmp_path / "tiny").path
    write_clean(tmp_path / "calm" / "clean", clean)
    write_clean(tmp_path / "mixed" / "clean", clean)
    wrong = write_bad(tmp_path / "mixed" / "bad", bad)
    for name, code in (("calm", 0), ("mixed", 1)):
        done = framing_run(
            tmp_path / name, "-o", tmp_path / f"out-{name}", "-m", bundle, timeout=3000
        )
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr + done.stdout
    errors = table(tmp_path / "out-mixed", "errors")
    named = [str(row["source_file"]) for row in errors]
    lost = {wrong[name] for name in wrong if f"bad/{name}" not in named}
    assert not lost
    assert sorted(named) == sorted(f"bad/{name}" for name in wrong)  # one each, and no clean one
    assert all(row["reason"] in list(Reason) and row["message"] for row in errors)
    for kind in ("documents", "passages"):
        rows = table(tmp_path / "out-mixed", kind)
        assert rows == table(tmp_path / "out-calm", kind)
        assert len(rows) >= clean


def test_malformed_inputs_are_a_row_each(tmp_path):
    survives(tmp_path, clean=16, bad=len(BAD))


@pytest.mark.long
def test_hundreds_of_malformed_inputs(tmp_path):
    survives(tmp_path, clean=500, bad=420)


def test_a_malformed_input_takes_little_time_and_memory(tmp_path):
    write_clean(tmp_path / "clean", 1)
    wrong = write_bad(tmp_path / "bad", len(BAD))
    measured = subprocess.run(
        [sys.executable, "-c", MEASURE, tmp_path / "bad", tmp_path / "clean"],
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
        check=False,
    )
    assert measured.stderr == ""
    report, grown = json.loads(measured.stdout)
    slow = {wrong[name]: seconds for name, (seconds, _) in report.items() if seconds > SECONDS}
    assert not slow
    assert grown < MEGABYTES
    in_the_model_alone = {"cp1251", "koi8-r"}  # it is the language that is not read
    readable = {wrong[name] for name, (_, reasons) in report.items() if None in reasons}
    assert readable <= in_the_model_alone
