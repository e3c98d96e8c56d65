"""From bytes to text: byte order marks, UTF-8, declared encodings, and a guess at the rest.

Nothing is ever replaced: bytes that no encoding explains are refused, and every encoding other
than UTF-8 is reported by name.
"""

from __future__ import annotations

import codecs
import io
import re
import unicodedata
from collections.abc import Iterator

from framing.text.bytes_in import Unreadable
from framing.text.document import Reason

#: How far into a stream of records the encoding is looked for.
MAX_SNIFF_BYTES = 4 * 2**20

_CHUNK = 1 << 16
_DETECTION_BYTES = 1 << 16
_NOISE_CHARACTERS = 4096
_EAST_ASIAN = ("gb2312", "big5hkscs", "euc_jp", "euc_kr")


class Pieces(io.RawIOBase):
    """An iterator of bytes as a raw stream."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces, self._rest = pieces, memoryview(b"")

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override] # what io passes
        """Fill `buffer` from one piece; 0 at the end."""
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._rest = memoryview(piece)
        n = min(len(buffer), len(self._rest))
        buffer[:n], self._rest = self._rest[:n], self._rest[n:]
        return n


def text_stream(pieces: Iterator[bytes], newline: str) -> tuple[io.TextIOWrapper, str]:
    """Open pieces as a stream of text; returns it with the name of its encoding.

    The encoding is settled on the first bytes that are not ASCII. Bytes that break it further on
    come out as lone surrogates, for :func:`undecoded` to find in the row they belong to.
    """
    head = bytearray()
    stopped: Unreadable | None = None
    try:
        for piece in pieces:
            head += piece
            settled = len(head) >= MAX_SNIFF_BYTES or not head.isascii()
            if settled and len(head) >= _DETECTION_BYTES:
                break
    except Unreadable as reason:
        stopped = reason  # what came before it is read first
    encoding = encoding_of(bytes(head), complete=False)
    if not encoding.startswith(("utf-16", "utf-32")) and 0 in head.partition(b"\n")[0]:
        raise _binary("NUL bytes in its first line: check that this is the right file")

    def again() -> Iterator[bytes]:
        yield bytes(head)
        if stopped:
            raise stopped
        yield from pieces

    raw = io.BufferedReader(Pieces(again()), _CHUNK)
    return io.TextIOWrapper(raw, encoding, "surrogateescape", newline=newline), encoding


def undecoded(text: str) -> bool:
    """Whether text holds lone surrogates: bytes, or escapes, that stand for no character."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


# --- encodings --------------------------------------------------------------------------------

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark begins the same way
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)

_LEGACY = [
    "cp1250",
    "cp1251",
    "cp1252",
    "cp1253",
    "cp1254",
    "cp1255",
    "cp1256",
    "cp1257",
    "koi8_r",
    "koi8_u",
    "cp866",
    "mac_roman",
    "iso8859_2",
    "iso8859_5",
    "iso8859_7",
    "gb18030",
    "big5hkscs",
    "cp932",
    "euc_jp",
    "cp949",
]

# What browsers read where a page says the name on the left (the WHATWG Encoding Standard).
_WEB_NAMES = {
    "ascii": "cp1252",
    "iso8859-1": "cp1252",
    "iso8859-9": "cp1254",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
    "big5": "big5hkscs",
}
_DECLARABLE = frozenset(codecs.lookup(name).name for name in _LEGACY) | {
    *(f"iso8859-{n}" for n in (2, 3, 4, 5, 6, 7, 8, 10, 13, 14, 15, 16)),
    *("cp1258", "mac-cyrillic", "iso2022_jp", "utf-8"),
}

_WESTERN = frozenset("àáâãäåæçèéêëìíîïñòóôõöøùúûüýÿœßÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÑÒÓÔÕÖØÙÚÛÜŒ") | frozenset(
    "‘’‚“”„–—…•·€£©®™°«»½¡¿§\xa0"
)
_ACCENTED_RUN = re.compile(r"[À-ÿ]{3}")


def decode(data: bytes, declared: str | None = None) -> tuple[str, str]:
    """Decode a whole document; returns the text and the name of its encoding.

    Raises
    ------
    Unreadable
        BINARY where it is no text, ENCODING where no encoding reads every byte.
    """
    encoding = encoding_of(data, declared)
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise _undecodable(data, error, encoding) from None
    if "\0" in text:
        raise _binary(
            "NUL bytes (the first at character {}): check the file".format(text.index("\0"))
        )
    if encoding.startswith(("utf-16", "utf-32")) and _is_noise(text):
        raise _binary(f"characters of no script in use, read as {encoding}: check the file")
    return text, encoding


def encoding_warning(encoding: str) -> tuple[str, ...]:
    """Report an encoding, unless it is UTF-8."""
    if encoding in ("utf-8", "utf-8-sig"):
        return ()
    return (f"read as {re.sub('^cp125', 'windows-125', encoding).replace('_', '-')}",)


def encoding_of(data: bytes, declared: str | None = None, *, complete: bool = True) -> str:
    """Name the encoding of data: byte order mark, UTF-8, the declared one, then a guess.

    Parameters
    ----------
    data
        All bytes, or (with ``complete=False``) the beginning, perhaps cut inside a character.
    declared
        What the document says about itself, as a page does in its head.

    Raises
    ------
    Unreadable
        BINARY or ENCODING.
    """
    for mark, name in _BOMS:
        if data.startswith(mark):
            return name
    refuse_binary(data)
    if not complete:
        data = data[: data.rfind(b"\n") + 1] or data
    if wide := _utf16_without_mark(data[:4096]):
        return wide
    try:
        codecs.getincrementaldecoder("utf-8")().decode(data, final=complete)
        return "utf-8"
    except UnicodeDecodeError as error:
        if _is_damaged_utf8(data, (declared or "").lower() in ("utf-8", "utf8")):
            # A stream goes on: the row that holds the byte is refused when its turn comes.
            if not complete:
                return "utf-8"
            raise _undecodable(data, error, "utf-8") from None
        return _declared_encoding(data, declared) or _guess(data, error)


def _declared_encoding(data: bytes, declared: str | None) -> str | None:
    """The encoding a page declares, where it is one and reads every byte."""
    try:
        name = codecs.lookup(declared or "").name
        name = _WEB_NAMES.get(name, name)
        if name not in _DECLARABLE:
            return None
        data.decode(name)
    except (LookupError, ValueError):
        return None
    return name


def _utf16_without_mark(head: bytes) -> str | None:
    """UTF-16 of mostly Latin text shows itself by zeros in every other byte."""
    half = len(head) // 2
    even, odd = head[0::2].count(0), head[1::2].count(0)
    if half >= 8 and odd > 0.6 * half and even < 0.05 * half:
        return "utf-16-le"
    if half >= 8 and even > 0.6 * half and odd < 0.05 * half:
        return "utf-16-be"
    return None


def _is_damaged_utf8(data: bytes, claimed: bool) -> bool:
    """Whether data is damaged UTF-8: another encoding would garble its good characters."""
    text = data.decode("utf-8", "surrogateescape")
    broken = len(re.findall("[\udc80-\udcff]", text))
    sound = len(re.findall("[^\x00-\x7f]", text)) - broken
    return sound > (0 if claimed else broken)


def _guess(data: bytes, error: UnicodeDecodeError) -> str:
    """Guess a single-byte or East Asian encoding from the bytes around the first odd one."""
    begin = max(0, error.start - 512)
    sample = data[begin : begin + _DETECTION_BYTES]
    if len(sample) == _DETECTION_BYTES:
        sample = sample[: max(sample.rfind(b" "), sample.rfind(b"\n"), _DETECTION_BYTES // 2)]
    # charset-normalizer calls sparsely accented text Windows-1250 as often as 1252.
    if _is_plain_western(sample) and _reads(data, "cp1252"):
        return "cp1252"
    from charset_normalizer import from_bytes

    for match in from_bytes(sample, cp_isolation=_LEGACY):
        if _reads(data, match.encoding):
            return match.encoding
    raise _undecodable(data, error, "any known encoding")


def _is_plain_western(sample: bytes) -> bool:
    try:
        text = sample.decode("cp1252")
    except UnicodeDecodeError:
        return False
    odd = [character for character in text if not character.isascii()]
    return (
        sum(map(str.isalpha, odd)) <= max(3, 0.05 * len(text))
        and _WESTERN.issuperset(odd)
        and not _ACCENTED_RUN.search(text)
    )


def _reads(data: bytes, encoding: str) -> bool:
    try:
        data.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _undecodable(data: bytes, error: UnicodeDecodeError, encoding: str) -> Unreadable:
    line = data.count(b"\n", 0, error.start) + 1
    return Unreadable(
        Reason.ENCODING,
        f"byte 0x{data[error.start]:02x} at offset {error.start} does not read as {encoding}: "
        "save the file as UTF-8",
        f"line {line}",
    )


def _is_noise(text: str) -> bool:
    """Whether text is bytes of another kind: nearly any pair of bytes is a character of UTF-16.

    Three in ten random pairs are characters that nobody writes; of real text hardly one is.
    """
    sample = text[:_NOISE_CHARACTERS]
    return sum(map(_is_rare, sample)) > max(1, 0.15 * len(sample))


def _is_rare(character: str) -> bool:
    """Unassigned, private or a control, or none that the encodings of its East Asian script have.

    Only in the first plane, which pairs of random bytes rarely leave: emoji are newer than Python.
    """
    if character > "\uffff" or character in "\t\n\v\f\r\x1b":
        return False
    if unicodedata.category(character) in ("Cn", "Co", "Cc"):
        return True
    if not ("\u3400" <= character <= "\u9fff" or "\uac00" <= character <= "\ud7a3"):
        return False
    return not any(_writes(character, name) for name in _EAST_ASIAN)


def _writes(character: str, encoding: str) -> bool:
    try:
        character.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


# --- what is not text -------------------------------------------------------------------------

_MAGIC = (
    (b"%PDF-", "a PDF: give it the suffix .pdf"),
    (b"\x89PNG", "a PNG image: name a file of text"),
    (b"\xff\xd8\xff", "a JPEG image: name a file of text"),
    (b"GIF8", "a GIF image: name a file of text"),
    (b"PK\x03\x04", "a zip archive, perhaps of Word, Excel or an e-book: save its text as .txt"),
    (b"\xd0\xcf\x11\xe0", "an old Word or Excel file: save its text as .txt"),
    (b"{\\rtf", "rich text: save it as plain .txt"),
    (b"\x1f\x8b", "gzip data: give it the suffix .gz"),
    (b"\x28\xb5\x2f\xfd", "zstd data: give it the suffix .zst"),
    (b"BZh", "bzip2 data: unpack it first"),
    (b"\xfd7zXZ", "xz data: unpack it first"),
    (b"7z\xbc\xaf", "a 7-Zip archive: unpack it first"),
    (b"Rar!", "a RAR archive: unpack it first"),
    (b"PAR1", "Parquet: give it the suffix .parquet"),
    (b"SQLite format 3", "an SQLite database: export its rows as .csv"),
    (b"\x7fELF", "a program: name a file of text"),
    (b"MZ\x90", "a program: name a file of text"),
)
_CONTROLS = bytes(set(range(32)) - set(b"\t\n\v\f\r\x1b\x00"))


def refuse_binary(data: bytes) -> None:
    """Raise Unreadable where data is known, by its first bytes or its controls, to be no text."""
    for magic, what in _MAGIC:
        if data.startswith(magic):
            raise _binary(what)
    head = data[:_CHUNK]
    if len(head) - len(head.translate(None, _CONTROLS)) > 0.02 * len(head):
        raise _binary("control characters: check that this is the right file")


def _binary(what: str) -> Unreadable:
    return Unreadable(Reason.BINARY, f"not text but {what}")
