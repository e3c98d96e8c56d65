"""A codebook: the labels, what each means, and when it holds.

A codebook is a YAML file. It needs a name, a version and labels with a definition each::

    name: climate
    version: 1
    labels:
      alarm: The passage warns of harm from a changing climate.
      hope: The passage tells of a remedy that works.

Everything else (groups, conditions, examples, rules) is optional; `core.yaml` shows all of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from pathlib import Path

from framing.codebook.strict_yaml import MAX_BYTES, Plain, dump, parse

_SHIPPED = Path(__file__).parent


class CodebookError(ValueError):
    """A codebook that cannot be used; `errors` lists everything wrong with it, with its place."""

    def __init__(self, errors: Sequence[str], origin: str) -> None:
        self.errors = tuple(errors)
        self.origin = origin
        several = [f"codebook {origin}: {len(errors)} errors", *(f"  {error}" for error in errors)]
        super().__init__(
            f"codebook {origin}: {errors[0]}" if len(errors) == 1 else "\n".join(several)
        )


@dataclass(frozen=True, slots=True)
class NearMiss:
    """A passage that looks like the label and is not; `labels` are those it does get."""

    text: str
    labels: tuple[str, ...] = ()
    why: str | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """Labels that answer one question."""

    name: str
    question: str | None = None


@dataclass(frozen=True, slots=True)
class Label:
    """One label of a codebook."""

    name: str
    definition: str
    group: str | None = None
    holds_when: str | None = None
    does_not_hold_when: str | None = None
    positives: tuple[str, ...] = ()
    near_misses: tuple[NearMiss, ...] = ()


@dataclass(frozen=True)
class Codebook:
    """A label scheme as data.

    `principles` are the statements that hold for all labels (name → statement), `rules` settle
    hard cases, and `set_aside` names the label whose passages are not part of the story, or None.
    All prose is on one line: line breaks and runs of spaces in the file mean nothing.
    """

    name: str
    version: str
    labels: tuple[Label, ...]
    title: str
    language: str = "en"
    unit: str | None = None
    principles: Mapping[str, str] = field(default_factory=dict, hash=False)
    groups: tuple[Group, ...] = ()
    rules: tuple[str, ...] = ()
    set_aside: str | None = None

    @classmethod
    def load(cls, name_or_path: str | Path = "core") -> Codebook:
        """Load a shipped codebook by name ("core") or one of your own from a YAML file.

        Raises
        ------
        CodebookError
            Where there is no such codebook, or it has errors; all of them are listed.
        """
        origin = str(name_or_path)
        path = _SHIPPED / f"{origin}.yaml" if origin in shipped() else Path(name_or_path)
        if not path.is_file():
            what = "is a directory" if path.is_dir() else "no such file"
            known = ", ".join(shipped())
            raise CodebookError([f"{what}; give a YAML file or a shipped name ({known})"], origin)
        try:
            with path.open("rb") as file:
                raw = file.read(MAX_BYTES + 1)
            # what is cut off at the limit is refused for its size, not for half a character
            text = raw.decode("utf-8-sig", "strict" if len(raw) <= MAX_BYTES else "replace")
        except OSError as problem:
            raise CodebookError([f"cannot be read: {problem.strerror}"], origin) from None
        except UnicodeDecodeError as problem:
            raise CodebookError([f"not UTF-8 at byte {problem.start}"], origin) from None
        return cls.from_yaml(text, origin)

    @classmethod
    def from_yaml(cls, text: str, origin: str = "text") -> Codebook:
        """Read a codebook from YAML text; `origin` names it in errors.

        Raises
        ------
        CodebookError
            Listing every error found, each with its place.
        """
        from framing.codebook.validation import validate  # it builds this class

        data, errors = parse(text)
        if not errors:
            codebook, errors = validate(data)
        if errors:
            raise CodebookError(errors, origin)
        return codebook

    @property
    def names(self) -> tuple[str, ...]:
        """The label names, in the order of every table and probability array."""
        return tuple(label.name for label in self.labels)

    def __getitem__(self, name: str) -> Label:
        """The label called `name`; KeyError where there is none."""
        for label in self.labels:
            if label.name == name:
                return label
        raise KeyError(
            f"codebook {self.name} has no label '{name}'; it has {', '.join(self.names)}"
        )

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of the content: layout, comments and key order do not change it."""
        import json

        canonical = json.dumps(
            self.to_dict(), ensure_ascii=False, sort_keys=True, separators=(",", ":")
        )
        return sha256(canonical.encode()).hexdigest()

    def to_dict(self) -> dict[str, Plain]:
        """The codebook as plain data, optional parts only where they say something."""
        return _without_blanks(
            {
                "name": self.name,
                "version": self.version,
                "title": self.title,
                "language": self.language,
                "unit": self.unit,
                "principles": dict(self.principles),
                "groups": {group.name: group.question or "" for group in self.groups},
                "set_aside": self.set_aside,
                "labels": [_label_to_dict(label) for label in self.labels],
                "rules": list(self.rules),
            }
        )

    def to_yaml(self) -> str:
        """The codebook as YAML that loads back to an equal codebook."""
        return dump(self.to_dict())


def shipped() -> tuple[str, ...]:
    """The names of the codebooks that come with framing."""
    return tuple(sorted(path.stem for path in _SHIPPED.glob("*.yaml")))


def _label_to_dict(label: Label) -> dict[str, Plain]:
    near_misses: list[Plain] = [
        _without_blanks({"text": miss.text, "labels": list(miss.labels), "why": miss.why})
        for miss in label.near_misses
    ]
    return _without_blanks(
        {
            "name": label.name,
            "group": label.group,
            "definition": label.definition,
            "holds_when": label.holds_when,
            "does_not_hold_when": label.does_not_hold_when,
            "positives": list(label.positives),
            "near_misses": near_misses,
        }
    )


def _without_blanks(data: Mapping[str, Plain | None]) -> dict[str, Plain]:
    return {key: value for key, value in data.items() if value}
