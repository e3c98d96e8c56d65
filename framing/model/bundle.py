"""Bundles: a trained model as a folder of plain files, checked before anything is parsed.

A bundle holds `manifest.json`, `codebook.yaml`, `decisions.json`, `README.md` (the model card)
and the model: `model.onnx` and `tokenizer.json` (kind "encoder") or `baseline.json` and
`baseline.npz` (kind "tfidf"). An encoder may have a `first_stage.npz` for fast runs beside it.
`training.json`, `metrics.json` and other records may tell where it came from and how well it does;
they are kept, not used. There is no pickle anywhere.

The manifest lists the size and SHA-256 of every other file. Opening a bundle reads each file
once, hashes those bytes and parses the very same bytes, so nothing can change in between.
Anything else in the folder is refused, except names that begin with a dot (`.DS_Store`,
`.gitattributes`), which are never opened. Hashes show that a bundle is whole and unchanged, not
who made it: what may run is limited by the checks on each file's content.
"""

from __future__ import annotations

import io
import json
import os
import stat
import zipfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from framing import __version__
from framing.codebook.codebook import Codebook, CodebookError
from framing.model.calibration import Decisions
from framing.model.manifest import (
    ARRAYS,
    CODEBOOK,
    DECISIONS,
    FIRST_STAGE,
    FORMAT,
    KINDS,
    LARGEST,
    MANIFEST,
    MAY_HOLD,
    MODEL,
    TOKENIZER,
    ManifestRefused,
    check_manifest,
    fingerprint,
    parse_json,
)
from framing.model.manifest import (
    Kind as Kind,
)
from framing.model.onnx_guard import OnnxRefused, check_onnx
from framing.model.tokenizer_guard import TokenizerRefused, check_tokenizer

_AGAIN = "get the bundle again, upgrade framing or retrain with `framing train`"


class BundleError(Exception):
    """A bundle that will not be loaded: one line with the file, the reason and what to do."""

    def __init__(self, path: Path | str, file: str | None, why: str, todo: str = _AGAIN) -> None:
        place = f"bundle {path}: {file}" if file else f"bundle {path}"
        super().__init__(" ".join(f"{place}: {why}; {todo}".split()))
        self.path = Path(path)
        self.file = file


@dataclass(frozen=True)
class Bundle:
    """An opened bundle: everything checked, the model's own files still as bytes.

    `fingerprint` identifies what the bundle does: it covers kind, labels, `max_tokens` and every
    file but the card, the records and the first stage, which changes nothing where it is not used.
    """

    path: Path
    name: str
    kind: Kind
    labels: tuple[str, ...]
    max_tokens: int | None
    language: str
    created_with: str
    fingerprint: str
    codebook: Codebook
    decisions: Decisions
    files: Mapping[str, bytes] = field(repr=False, compare=False)

    @property
    def first_stage(self) -> str | None:
        """The fingerprint of the first stage, where there is one."""
        data = self.files.get(FIRST_STAGE)
        return None if data is None else sha256(data).hexdigest()


def open_bundle(path: str | os.PathLike[str]) -> Bundle:
    """Open the bundle in a folder, refusing whatever is not exactly as its manifest says.

    Raises
    ------
    BundleError
        The folder, its manifest or one of its files is not what a bundle holds.
    """
    folder = Path(path)
    if not folder.is_dir():
        what = "is not a folder" if folder.exists() else "there is no such folder"
        raise BundleError(folder, None, what, "give a folder written by `framing train`")
    manifest = _read_manifest(folder)
    _check_listing(folder, manifest["files"])
    files = {}
    for name, entry in sorted(manifest["files"].items()):
        files[name] = _read(folder, name, entry["size"])
        if len(files[name]) != entry["size"]:
            why = f"is {len(files[name]):,} bytes, not {entry['size']:,} as the manifest says"
            raise BundleError(folder, name, why)
        if sha256(files[name]).hexdigest() != entry["sha256"]:
            raise BundleError(folder, name, "its SHA-256 is not the one in the manifest")
    return _check_content(folder, manifest, files)


def write_bundle(
    folder: str | os.PathLike[str], *, name: str, kind: Kind, max_tokens: int | None = None
) -> Bundle:
    """Turn a folder that holds a kind's files into a bundle: check them, then write the manifest.

    Labels and language are the codebook's. The manifest comes last and in one step, so that a
    folder is either a whole bundle or none.

    Parameters
    ----------
    folder
        Holds the files of `kind` (see `KINDS`), perhaps some of `MAY_HOLD`, and nothing else.
    name
        What provenance will call the bundle.
    max_tokens
        The longest input of an encoder, in tokens; None for other kinds.

    Raises
    ------
    BundleError
        A file is missing, superfluous or not one that `open_bundle` would accept.
    """
    folder = Path(folder)
    present = _check_listing(folder, KINDS[kind] | MAY_HOLD[kind])
    names = sorted(KINDS[kind] | (MAY_HOLD[kind] & present))
    files = {file: _read(folder, file, LARGEST[file]) for file in names}
    codebook = _read_codebook(folder, files[CODEBOOK])
    manifest: dict[str, Any] = {
        "format": FORMAT,
        "name": name,
        "kind": kind,
        "labels": list(codebook.names),
        "max_tokens": max_tokens,
        "language": codebook.language,
        "created_with": __version__,
        "files": {
            file: {"size": len(data), "sha256": sha256(data).hexdigest()}
            for file, data in files.items()
        },
    }
    manifest["fingerprint"] = fingerprint(manifest)
    text = json.dumps(manifest, indent=1, ensure_ascii=False) + "\n"
    try:
        bundle = _check_content(folder, check_manifest(text.encode()), files)
    except ManifestRefused as error:
        raise BundleError(folder, MANIFEST, str(error), "call write_bundle otherwise") from None
    _write_durably(folder, MANIFEST, text.encode())
    return bundle


def rewrite_manifest(folder: str | os.PathLike[str]) -> Bundle:
    """Take in what changed in a bundle's files, a new card for example; it stays what it was.

    Raises
    ------
    BundleError
        The old manifest is malformed, or `write_bundle` refuses the folder.
    """
    folder = Path(folder)
    old = _read_manifest(folder)
    return write_bundle(folder, name=old["name"], kind=old["kind"], max_tokens=old["max_tokens"])


def find_bundle(name_or_path: str | os.PathLike[str]) -> Path:
    """The folder of a shipped bundle by name, else the path itself.

    A shipped name wins over a folder of that name; write `./core-en` for the folder.

    Raises
    ------
    BundleError
        It is neither a shipped name nor a path that exists.
    """
    shipped = shipped_bundles()
    if (found := shipped.get(str(name_or_path))) is not None:
        return found
    path = Path(name_or_path)
    if not path.exists():
        known = ", ".join(sorted(shipped)) or "none are installed"
        raise BundleError(
            path, None, "there is no such bundle", f"give a folder or a shipped name ({known})"
        )
    return path


def shipped_bundles() -> dict[str, Path]:
    """Name to folder of the bundles that come with framing, installed or in a source checkout."""
    package = Path(__file__).parents[1]
    for home in (package / "_models", package.parent / "models"):
        if home.is_dir():
            return {p.parent.name: p.parent for p in sorted(home.glob(f"*/{MANIFEST}"))}
    return {}


def _read(folder: Path, name: str, at_most: int) -> bytes:
    """A regular file's bytes, read once; links, devices and pipes are refused, never followed."""
    flags = os.O_RDONLY
    for extra in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY"):
        flags |= getattr(os, extra, 0)
    try:
        regular = stat.S_ISREG((folder / name).lstat().st_mode)
        if not regular:
            raise BundleError(folder, name, "is not a regular file", "copy the real file there")
        with os.fdopen(os.open(folder / name, flags), "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise BundleError(folder, name, "is not a regular file", "copy the real file there")
            if status.st_size > at_most:
                why = f"is {status.st_size:,} bytes, more than the {at_most:,} expected"
                raise BundleError(folder, name, why)
            return file.read(at_most + 1)
    except FileNotFoundError:
        raise BundleError(folder, name, "is missing") from None
    except OSError as error:
        raise BundleError(folder, name, f"cannot be read ({error.strerror})") from None


def _check_listing(folder: Path, expected: Collection[str]) -> set[str]:
    """The names in the folder, all of them expected; those that begin with a dot do not count."""
    present = set()
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name in expected or entry.name == MANIFEST:
                    present.add(entry.name)
                elif not entry.name.startswith("."):
                    why = "does not belong to the bundle"
                    raise BundleError(folder, ascii(entry.name)[:100], why, "move it elsewhere")
    except OSError as error:
        raise BundleError(folder, None, f"cannot be read ({error.strerror})") from None
    return present


def _check_content(folder: Path, manifest: Mapping[str, Any], files: Mapping[str, bytes]) -> Bundle:
    """Parse the small files, look into the large ones, and make the bundle."""
    labels: Sequence[str] = manifest["labels"]
    codebook = _read_codebook(folder, files[CODEBOOK])
    if list(codebook.names) != list(labels):
        raise BundleError(folder, CODEBOOK, "its labels are not those of the manifest, in order")
    at = DECISIONS
    try:
        decisions = Decisions.from_json(files[DECISIONS], labels)
        if manifest["kind"] == "encoder":
            at = TOKENIZER
            check_tokenizer(parse_json(files[TOKENIZER]))
            at = MODEL
            check_onnx(files[MODEL])
            if FIRST_STAGE in files:
                at = FIRST_STAGE
                _check_archive(files[at])
        else:
            at = ARRAYS
            _check_archive(files[ARRAYS])
    except (TokenizerRefused, OnnxRefused) as error:
        raise BundleError(
            folder, at, str(error), "use a model exported by `framing train`"
        ) from None
    except Exception as error:  # whatever a parser makes of hostile bytes
        raise BundleError(folder, at, f"is malformed ({error})") from None
    return Bundle(
        path=folder,
        name=manifest["name"],
        kind=manifest["kind"],
        labels=tuple(labels),
        max_tokens=manifest["max_tokens"],
        language=manifest["language"],
        created_with=manifest["created_with"],
        fingerprint=manifest["fingerprint"],
        codebook=codebook,
        decisions=decisions,
        files=files,
    )


def _read_manifest(folder: Path) -> dict[str, Any]:
    try:
        return check_manifest(_read(folder, MANIFEST, LARGEST[MANIFEST]))
    except ManifestRefused as error:
        raise BundleError(folder, MANIFEST, str(error)) from None


def _read_codebook(folder: Path, raw: bytes) -> Codebook:
    try:
        return Codebook.from_yaml(raw.decode(), CODEBOOK)
    except UnicodeDecodeError:
        raise BundleError(folder, CODEBOOK, "is not UTF-8") from None
    except CodebookError as error:
        raise BundleError(folder, CODEBOOK, error.errors[0]) from None


def _check_archive(data: bytes) -> None:
    """Accept a zip file of stored members only: what it holds is no larger than itself."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = archive.infolist()
    if any(m.compress_type != zipfile.ZIP_STORED or m.flag_bits & 1 for m in members):
        raise ValueError("a member is compressed or encrypted")
    if sum(m.file_size for m in members) > len(data):
        raise ValueError("its members claim to be larger than the file")


def _write_durably(folder: Path, name: str, data: bytes) -> None:
    """Write a file so that it is there whole or not at all, even after a power cut."""
    draft = folder / f".{name}.part"
    with draft.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(folder / name)
    if hasattr(os, "O_DIRECTORY"):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
