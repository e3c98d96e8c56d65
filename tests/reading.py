"""What the tests of the readers share: texts, pages and PDFs, and how a failure must look."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable, Iterable
from pathlib import Path

from hypothesis import HealthCheck, settings

from framing.text.document import Document, Failure
from framing.text.readers import read_documents

PROSE = "The council votes on the toll in May. A spokesman said the figures speak for themselves."
RUSSIAN = (
    "Совет проголосует по тарифу в мае. Представитель порта заявил, что цифры говорят сами за "
    "себя и что мост закроют на год. Водителей направят в северный тоннель."
)
CURLY = "It’s the café’s £5 — “fine”, says José Muñoz. " + PROSE

ROWS = [{"id": f"a{n}", "text": f"{PROSE} {'%030x' % (7**n * 10**9)}"} for n in range(1, 60)]
LINES = "".join(json.dumps(row) + "\n" for row in ROWS).encode()

PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8">
<title>Harbour bridge closes for a year | Coast Daily</title>
<meta property="og:title" content="Harbour bridge closes for a year">
<meta property="og:site_name" content="Coast Daily"><meta name="author" content="Mira Holt">
<meta property="article:published_time" content="2024-03-05T08:00:00Z"></head><body>
<div id="cookie-banner" class="cookie-consent"><p>We use cookies. <button>Accept</button></p></div>
<nav><ul><li><a href="/">Home</a></li><li><a href="/world">World</a></li></ul></nav>
<main><article><h1>Harbour bridge closes for a year</h1>
<div class="share-buttons"><a>Share on Facebook</a><a>Tweet</a></div>
<p>The harbour bridge will close on Monday for repairs
   that are expected to last a year, the <a href="x">port authority</a> said, citing <em>rust</em>.
</p><blockquote class="pullquote"><p>“Nobody asked the ferrymen,” says one captain.</p></blockquote>
<h2>What changes</h2>
<p>Drivers will be sent round by the northern tunnel, which carries twice the traffic it was built
for.</p><ul><li>Buses 4 and 9 stop at <b>the market</b>.</li>
<li>Ferries run<br>more often:<ul><li>on weekdays</li><li>on Sundays</li></ul></li></ul>
<table><tr><th>Day</th><th>Trips</th></tr><tr><td>Monday</td><td>20</td></tr></table>
<p>The council votes on the toll in May. A spokesman said “the figures speak for themselves”.</p>
</article></main><aside><h3>Most read</h3><ul><li><a>Something else</a></li></ul></aside>
<footer>© 2024 Coast Daily. All rights reserved.</footer></body></html>"""

# for hypothesis
QUICK = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

Write = Callable[[str, str | bytes], Path]


def documents(items: Iterable[Document | Failure]) -> list[Document]:
    return [item for item in items if isinstance(item, Document)]


def only_failure(path: Path | str, **options: str) -> Failure:
    (item,) = read_documents(path, **options)
    assert isinstance(item, Failure), item
    assert "\n" not in str(item)
    assert str(item).startswith(str(path))
    return item


Line = tuple[float, float, float, str]


def make_pdf(pages: list[list[Line]], info: str = "", trailer: str = "") -> bytes:
    """Write a PDF by hand: each page a list of (x, y, size, text)."""
    objects = [b"<< /Type /Catalog /Pages 2 0 R >>", b""]
    font = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>"
    objects += [font, f"<< {info} >>".encode("cp1252")]
    kids = []
    for lines in pages:
        shown = [f"BT /F1 {size} Tf {x} {y} Td ({text}) Tj ET\n" for x, y, size, text in lines]
        stream = "".join(shown).encode("cp1252")
        objects.append(b"<< /Length %d >>\nstream\n%b\nendstream" % (len(stream), stream))
        objects.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents %d 0 R "
            b"/Resources << /Font << /F1 3 0 R >> >> >>" % len(objects)
        )
        kids.append(b"%d 0 R" % len(objects))
    objects[1] = b"<< /Type /Pages /Kids [%b] /Count %d >>" % (b" ".join(kids), len(kids))
    out, offsets = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%b\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    return out + (
        b"xref\n0 %d\n0000000000 65535 f \n%btrailer << /Size %d /Root 1 0 R /Info 4 0 R %b >>\n"
        b"startxref\n%d\n%%%%EOF\n"
        % (len(objects) + 1, table, len(objects) + 1, trailer.encode(), len(out))
    )


PARAGRAPHS = [
    "The harbour bridge will close on Monday for repairs that are expected to last a year, the "
    "port authority said, citing rust in the main cables and cracks that are well-known.",
    "Drivers will be sent round by the northern tunnel, which carries twice the traffic it was "
    "built for. Nobody asked the ferrymen, one captain said on the quay.",
    PROSE,
]


def set_lines(gap: float = 0, indent: float = 0, width: int = 70, x: float = 72) -> list[Line]:
    lines: list[Line] = []
    y = 700.0
    for paragraph in PARAGRAPHS:
        for place, text in enumerate(textwrap.wrap(paragraph, width)):
            lines.append((x + (indent if place == 0 else 0), y, 11, text))
            y -= 14
        y -= gap
    return lines
