"""Clean inputs in our own words, and what time, bad disks and bad people make of them."""

import gzip
import io
import json
import random
from collections.abc import Callable
from pathlib import Path

from runs import article

from framing.text.bytes_in import _zstd

RUSSIAN = (
    "Совет проголосует по тарифу в мае. Представитель порта заявил, что цифры говорят сами за "
    "себя и что мост закроют на год. Водителей направят в северный тоннель. "
)
MANY_ATTRIBUTES = "<p " + " ".join(f"a{i}=1" for i in range(190)) + ">x</p>"
Mutation = Callable[[int], tuple[str, bytes]]  # a number in, a suffix and bytes out


def page(seed: int, head: str = "", tail: str = "") -> str:
    paragraphs = "".join(f"<p>{each}</p>" for each in article(seed).split("\n\n"))
    return (
        f"<html><head><meta charset='utf-8'><title>Report {seed}</title>{head}</head>"
        f"<body><article>{paragraphs}{tail}</article></body></html>"
    )


def pdf(seed: int) -> bytes:
    """A sound PDF of one page."""
    lines = [line[:90] for line in article(seed, 3).split("\n\n")]
    drawn = " T* ".join(f"({line}) Tj" for line in lines)
    stream = f"BT /F1 10 Tf 14 TL 40 700 Td {drawn} ET".encode()
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 700 800] /Contents 4 0 R "
        b"/Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    out = bytearray(b"%PDF-1.4\n")
    starts = []
    for number, each in enumerate(objects, 1):
        starts.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, each)
    table = b"".join(b"%010d 00000 n \n" % start for start in starts)
    begin = len(out)
    out += b"xref\n0 6\n0000000000 65535 f \n" + table
    out += b"trailer << /Size 6 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % begin
    return bytes(out)


def rows(seed: int, count: int = 3) -> list[dict[str, str]]:
    return [{"id": f"r{seed}-{i}", "text": article(seed * 7 + i, 2)} for i in range(count)]


def jsonl(seed: int, count: int = 3) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows(seed, count)).encode()


def csv_table(seed: int, count: int = 3) -> bytes:
    lines = [f'{row["id"]},"{row["text"]}"' for row in rows(seed, count)]
    return "\n".join(["id,text", *lines, ""]).encode()


def parquet(seed: int) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows(seed)), out)
    return out.getvalue()


CLEAN: dict[str, Callable[[int], bytes]] = {
    ".html": lambda seed: page(seed).encode(),
    ".txt": lambda seed: article(seed).encode(),
    ".pdf": pdf,
    ".jsonl": jsonl,
    ".csv": csv_table,
    ".parquet": parquet,
    ".txt.gz": lambda seed: gzip.compress(article(seed).encode()),
    ".jsonl.zst": lambda seed: _zstd().compress(jsonl(seed)),
}


def cut(data: bytes, seed: int) -> bytes:
    """The beginning of it."""
    return data[: random.Random(seed).randint(len(data) // 4, len(data) * 3 // 4)]


def spoilt(data: bytes, seed: int, begin: int = 0) -> bytes:
    """The same with noise for its middle."""
    draw = random.Random(seed)
    at = max(begin, len(data) // 3)
    return data[:at] + draw.randbytes(len(data) // 3) + data[at + len(data) // 3 :]


def bomb(seed: int, pack: Callable[[bytes], bytes], filling: bytes) -> bytes:
    return pack(filling * ((1 << 22) // len(filling))) * (20 + seed % 5)


BAD: dict[str, Mutation] = {
    "nothing": lambda n: (list(CLEAN)[n % 6], b""),
    "html with NUL": lambda n: (".html", page(n).replace("river", "ri\0ver", 1 + n).encode()),
    "html of no text": lambda n: (".html", b"<html><body>" + b"<br>" * n + b"</body></html>"),
    "html too deep": lambda n: (".html", page(n, tail="<div>" * (400 + n) + "deep").encode()),
    "html of tags": lambda n: (".html", page(n, tail="<i>x</i>" * (31_000 + n)).encode()),
    "html too long": lambda n: (".html", page(n, tail="word " * 1_800_000).encode()),
    "html of attributes": lambda n: (".html", page(n, tail=MANY_ATTRIBUTES * (250 + n)).encode()),
    "picture as html": lambda n: (".html", b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * (1 + n % 9)),
    "surrogates": lambda n: (
        ".txt",
        ("Café é é é é é " + article(n)).encode() + b" \xed\xa0\x80 end",
    ),
    "text of NUL": lambda n: (".txt", article(n).encode() + b"\0" * (1 + n)),
    "cp1251": lambda n: (".txt", (RUSSIAN * (1 + n % 7)).encode("cp1251")),
    "koi8-r": lambda n: (".html", f"<html><body><p>{RUSSIAN * (1 + n % 7)}".encode("koi8-r")),
    "utf-16 of odd length": lambda n: (".txt", article(n).encode("utf-16")[:-1]),
    "half an UTF-8 text": lambda n: (".txt", (RUSSIAN * 3).encode() + b"\xd0 \xd1 \xff"),
    "pdf cut": lambda n: (".pdf", cut(pdf(n), n)),
    "pdf of noise": lambda n: (".pdf", b"%PDF-1.7\n" + random.Random(n).randbytes(900) + b"%%EOF"),
    "pdf without pages": lambda n: (".pdf", pdf(n).replace(b"/Kids [3 0 R]", b"/Kids [9 0 R]")),
    "jsonl cut": lambda n: (".jsonl", jsonl(n, 1)[: -20 - n % 50]),
    "jsonl of no object": lambda n: (".jsonl", b'["text", %d]\n' % n),
    "jsonl lone surrogate": lambda n: (".jsonl", b'{"text": "The bridge \\ud8%02x"}\n' % (n % 90)),
    "jsonl of bad bytes": lambda n: (".jsonl", b'{"text": "caf\xc3\xa9 \xc3\xa9 \xff %d"}\n' % n),
    "jsonl too deep": lambda n: (".jsonl", b'{"text": ' + b"[" * (3000 + n) + b"\n"),
    "jsonl of numbers": lambda n: (".jsonl", b'{"text": %d}\n' % n),
    "csv without text": lambda n: (".csv", b"no,count\n%d,2\n" % n),
    "csv of a header": lambda n: (".csv", b"id,text\n" + b"\n" * n),
    "csv unclosed": lambda n: (".csv", b'id,text\n%d,"never closed\n' % n),
    "csv too wide": lambda n: (".csv", b"id,text\n%d,one,two,three\n" % n),
    "csv of NUL": lambda n: (".csv", b"id,text\n%d,a\0b word\n" % n),
    "parquet cut": lambda n: (".parquet", cut(parquet(n), n)),
    "parquet of noise": lambda n: (".parquet", spoilt(parquet(n), n)[:-8] + b"\xff\xff\0\0PAR1"),
    "gz cut": lambda n: (".txt.gz", cut(gzip.compress(article(n).encode()), n)),
    "gz spoilt": lambda n: (".txt.gz", spoilt(gzip.compress(article(n).encode()), n, 20)),
    "no gz": lambda n: (".txt.gz", article(n).encode()),
    "gz bomb": lambda n: (".txt.gz", bomb(n, gzip.compress, b"a ")),
    "gz bomb of lines": lambda n: (".jsonl.gz", bomb(n, gzip.compress, b"\n")),
    "gz bomb of a row": lambda n: (".csv.gz", bomb(n, gzip.compress, b"text")),
    "zst cut": lambda n: (".txt.zst", _zstd().compress(article(n).encode())[:-5]),
    "no zst": lambda n: (".jsonl.zst", jsonl(n)),
    "zst bomb": lambda n: (".html.zst", bomb(n, _zstd().compress, b"<p>")),
    "zst bomb of lines": lambda n: (".csv.zst", bomb(n, _zstd().compress, b"\n")),
}


def write_clean(folder: Path, count: int) -> None:
    folder.mkdir(parents=True)
    kinds = list(CLEAN.items())
    for n in range(count):
        suffix, make = kinds[n % len(kinds)]
        (folder / f"{n:04}{suffix}").write_bytes(make(n))


def write_bad(folder: Path, count: int) -> dict[str, str]:
    """Write inputs of which each must be one error; returns what is wrong with each file."""
    folder.mkdir(parents=True)
    kinds = list(BAD.items())
    wrong = {}
    for n in range(count):
        what, make = kinds[n % len(kinds)]
        suffix, data = make(n // len(kinds))
        name = f"{n:04}{suffix}"
        (folder / name).write_bytes(data)
        wrong[name] = what
    return wrong
