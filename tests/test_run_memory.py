"""The memory of each process of a run does not grow with the corpus."""

import json
import random
import subprocess
import time

import pytest
from runs import ENVIRONMENT, command, processes_of
from tiny import make_bundle

WORDS = (
    "the of a and in to on for said that it was with as by from at minister city river bridge "
    "harbour council talks border army region ceasefire talks prices vote court report official "
    "troops analysts warned Monday Tuesday percent million government people water company"
).split()


def write_corpus(path, passages, words):
    """Articles of 25 passages of about so many words, none like another: caches shall not help."""
    draw = random.Random(0)

    def passage():
        length = max(4, round(draw.expovariate(1 / words)))
        return " ".join([*draw.choices(WORDS, k=length), f"{draw.getrandbits(40):x}."])

    with path.open("w") as file:
        for i in range(passages // 25):
            row = {"id": str(i), "text": "\n\n".join(passage() for _ in range(25))}
            file.write(json.dumps(row) + "\n")


def peaks(source, out, bundle, passages):
    """The most memory of each process until a tenth is committed, and after it, in bytes."""
    early, late = {}, {}
    process = subprocess.Popen(
        command(source, "-o", out, "-m", bundle, "--workers", 1),
        stderr=subprocess.DEVNULL,
        env=ENVIRONMENT,
        start_new_session=True,
    )
    manifest = out / "manifest.jsonl"
    while process.poll() is None:
        time.sleep(0.2)
        lines = manifest.read_bytes().splitlines(keepends=True) if manifest.exists() else []
        done = sum(json.loads(line).get("passages", 0) for line in lines if line.endswith(b"\n"))
        peak = early if done < passages / 10 else late
        for number, resident in processes_of(process.pid).items():
            peak[number] = max(peak.get(number, 0), resident)
    assert process.returncode == 0
    return early, late


def check(tmp_path, bundle, passages, words):
    write_corpus(tmp_path / "in.jsonl", passages, words)
    early, late = peaks(tmp_path / "in.jsonl", tmp_path / "out", bundle, passages)
    grown = {number: (early[number] >> 10, late[number] >> 10) for number in late}
    print(f"kB of each process in the first tenth and after it: {sorted(grown.values())}")
    assert len(late) == 3  # the parent, the reader, the worker: none had to be replaced
    for number, resident in late.items():
        assert resident < 1.05 * early[number], grown


@pytest.mark.long
def test_a_million_passages_of_the_tiny_bundle(tmp_path):
    make_bundle(tmp_path / "tiny")
    check(tmp_path, tmp_path / "tiny", 1_000_000, 12)


@pytest.mark.long
def test_fifty_thousand_passages_of_the_shipped_bundle(tmp_path):
    check(tmp_path, "core-en", 50_000, 30)
