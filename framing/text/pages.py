"""The article on a web page: its text in lines, its title, date and author.

The extractor is trafilatura (Barbaresi 2021, ACL demo). Its tree is rendered here, because its
own plain text puts headings, pull quotes and paragraphs on neighbouring lines, all alike.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, cast

from framing.text.bytes_in import Unreadable
from framing.text.document import Reason

if TYPE_CHECKING:
    from lxml.etree import _Element
    from lxml.html import HtmlElement

#: Hostile pages stall any extractor: beyond these a page is refused, or its tag cut short.
MAX_PAGE_CHARACTERS = 8 * 2**20
MAX_ELEMENTS = 30_000
MAX_DEPTH = 200
MAX_TAG_CHARACTERS = 4096
MAX_ATTRIBUTES = 200
MAX_SCRIPT_CHARACTERS = 200_000

_DATA_URI = re.compile(r"""(["'])data:[^"'<>]{256,}\1""")
_LONG_TAG = re.compile(rf"<([a-zA-Z][a-zA-Z0-9:-]{{0,30}})[\s/][^<>]{{{MAX_TAG_CHARACTERS},}}>")
# Tags as a browser reads them, quoted values and all; m[1] is empty for what hides tags.
_TAG = re.compile(
    r"""<(?:script\b.*?(?:</script|\Z)|style\b.*?(?:</style|\Z)|!--.*?(?:-->|\Z)"""
    r"""|([a-z][^\s/>]*+)((?:[^>"'=]++|=\s*+(?:"[^"]*+"?|'[^']*+'?)?|["'])*+))""",
    re.IGNORECASE | re.DOTALL,
)
_ATTRIBUTE = re.compile(r"""[^\s/>=]++(?:\s*+=\s*+(?:"[^"]*+"?|'[^']*+'?|[^\s>]*+))?+""")
_META_CHARSET = re.compile(
    rb"""<meta[^>]{0,200}?charset\s*=\s*["']?\s*([\w.:-]{1,40})|<\?xml[^>]{0,80}?encoding=["']([\w.:-]{1,40})""",
    re.IGNORECASE,
)
_HEAD_BYTES = 4096
# When it was first published, as the page says; a search of its prose for dates would be a guess,
# and takes 5 s to load its languages.
_DATES = {"original_date": True, "extensive_search": False}


@dataclass(frozen=True, slots=True)
class Page:
    """What a page says: `body` has blank lines between blocks and "- " before list items."""

    body: str
    title: str | None = None
    source: str | None = None
    date: str | None = None
    author: str | None = None
    url: str | None = None
    warnings: tuple[str, ...] = ()


def declared_charset(data: bytes) -> str | None:
    """The encoding a page names in its head, if any."""
    found = _META_CHARSET.search(data[:_HEAD_BYTES])
    return (found[1] or found[2]).decode("ascii") if found else None


def looks_like_html(text: str) -> bool:
    """Whether text, whatever its file is called, begins as a web page does."""
    return bool(
        re.match(r"\s*(<!--.{0,500}?-->\s*)?<(!doctype\s+html|html|head|body)\b", text, re.I | re.S)
    )


def read_page(html: str) -> Page:
    """Extract the article from a page.

    Raises
    ------
    Unreadable
        TOO_LARGE beyond the limits above, NO_TEXT where nothing is left to read.
    """
    import trafilatura

    for noisy in ("trafilatura", "htmldate", "courlan"):
        logging.getLogger(noisy).addHandler(logging.NullHandler())
    tree = _tree(html)
    found = cast(
        "trafilatura.settings.Document | None",  # a dict only where asked for one
        trafilatura.bare_extraction(
            tree,
            fast=True,
            include_comments=False,
            with_metadata=True,
            date_extraction_params=_DATES,
        ),
    )
    blocks = _blocks(found.body) if found is not None else []
    if not blocks:
        body, _, _ = trafilatura.baseline(tree)
        blocks = _blocks(body)
    warnings: tuple[str, ...] = ()
    if not blocks and (whole := trafilatura.html2txt(tree).strip()):
        blocks, warnings = [whole], ("no main text found on the page: all of it read",)
    if not blocks:
        raise Unreadable(Reason.NO_TEXT, "no text on this page: save it again once it has loaded")
    if found is None:
        return Page("\n\n".join(blocks), warnings=warnings)
    title = _line(found.title) or None
    # The headline the reader saw is better than the one written for search engines.
    heading = found.body.find("head") if len(found.body) else None
    if heading is not None and heading is found.body[0] and heading.get("rend") == "h1":
        title = blocks[0]
    if title is not None and blocks[0] == title and len(blocks) > 1:
        blocks = blocks[1:]
    return Page(
        body="\n\n".join(blocks),
        title=title,
        source=found.sitename or found.hostname,
        date=found.date,
        author=found.author,
        url=found.url,
        warnings=warnings,
    )


def _tree(html: str) -> HtmlElement:
    """Parse a page within the limits."""
    import trafilatura

    if len(html) > MAX_PAGE_CHARACTERS:  # pictures inside a saved page are most of it
        html = _DATA_URI.sub(r"\1\1", html)
    if len(html) > MAX_PAGE_CHARACTERS:
        raise _too_much(f"more than {MAX_PAGE_CHARACTERS // 2**20} million characters")
    html = _LONG_TAG.sub(r"<\1>", _DATA_URI.sub(r"\1\1", html))
    html = _TAG.sub(_few_attributes, html)
    tree = trafilatura.load_html(html)
    if tree is None:
        raise Unreadable(Reason.NO_TEXT, "this is not a web page: read it as .txt")
    attributes = depth = 0
    for count, element in enumerate(tree.iter(), 1):
        attributes += len(element.keys())
        if attributes > 100 * MAX_ATTRIBUTES + 10 * count:
            raise _too_much("far too many attributes")
        if element.tag == "script" and len(element.text or "") > MAX_SCRIPT_CHARACTERS:
            element.text = None  # or a search for metadata in it takes a minute
        if len(element) == 0:
            depth = max(depth, sum(1 for _ in element.iterancestors()))
        if count > MAX_ELEMENTS:
            raise _too_much(f"more than {MAX_ELEMENTS:,} elements")
        if depth > MAX_DEPTH:
            raise _too_much(f"elements nested more than {MAX_DEPTH} deep")
    return tree


def _few_attributes(tag: re.Match[str]) -> str:
    """The tag; without its attributes where they are so many that parsing them would take hours."""
    whole, name, attributes = tag[0], tag[1], tag[2]
    if not name or len(attributes) < 3 * MAX_ATTRIBUTES:
        return whole
    few = sum(1 for _ in islice(_ATTRIBUTE.finditer(attributes), MAX_ATTRIBUTES)) < MAX_ATTRIBUTES
    return whole if few else f"<{name}"


def _too_much(what: str) -> Unreadable:
    return Unreadable(
        Reason.TOO_LARGE, f"{what} on one page: save the article alone, or its text as .txt"
    )


# --- trafilatura's tree as text ---------------------------------------------------------------


def _blocks(body: _Element) -> list[str]:
    """The blocks of trafilatura's tree; a list or a table is one block of several lines."""
    lines = "\n".join(map(_line, _flow(body).split("\n")))
    return [block.strip("\n") for block in re.split(r"\n{2,}", lines) if block.strip()]


def _flow(element: _Element) -> str:
    """The text inside an element: line breaks as they are, blank lines around blocks."""
    parts = [element.text or ""]
    for child in element:
        inner = _flow(child)
        match child.tag:
            case "lb":
                inner = "\n"
            case "head":
                inner = f"\n\n{_line(inner)}\n\n"
            case "p" | "quote" | "list" | "table" | "div" | "code":
                inner = f"\n\n{inner}\n\n"
            case "item":
                # One line to an item; the items of a list inside it have theirs already.
                inner = re.sub(r"\n+(?!- )", " ", inner).strip()
                inner = f"\n{inner}" if inner.startswith("- ") else f"\n- {inner}"
            case "row":
                cells = [_line(_flow(cell)) for cell in child.iter("cell")]
                # A cell alone in its row is layout, not a table.
                inner = f"\n\n{inner}\n\n" if len(cells) == 1 else "\n" + " | ".join(cells)
        parts += [inner, child.tail or ""]
    return "".join(parts)


def _line(text: str | None) -> str:
    return " ".join((text or "").split())
