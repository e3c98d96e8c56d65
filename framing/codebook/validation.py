"""From plain data to a codebook, with a list of everything that is wrong."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence

from framing.codebook.codebook import Codebook, Group, Label, NearMiss
from framing.codebook.strict_yaml import Plain

_MAX_LABELS = 500
_NAME = re.compile(r"[^\W\d_][\w-]{0,63}")

_CODEBOOK_KEYS = (
    "name", "version", "title", "language", "unit", "principles", "groups", "set_aside", "labels",
    "rules",
)  # fmt: skip
_LABEL_KEYS = (
    "name", "group", "definition", "holds_when", "does_not_hold_when", "positives", "near_misses",
)  # fmt: skip
_NEAR_MISS_KEYS = ("text", "labels", "why")


def validate(data: Plain) -> tuple[Codebook, list[str]]:
    """Build a codebook from parsed YAML; where the list of errors is not empty, do not use it."""
    reader = _Reader()
    codebook = reader.codebook(data)
    return codebook, reader.errors


class _Reader:
    """Turns plain data into a codebook and gathers every error on the way.

    Each method takes the data and its place ("labels[3].group") and returns the part it reads;
    where the data is wrong it notes why and returns something harmless.
    """

    def __init__(self) -> None:
        self.errors: list[str] = []

    def codebook(self, data: Plain) -> Codebook:
        if not data:
            self.errors.append("is empty; it needs name, version and labels")
            data = {}
        elif not isinstance(data, dict):
            self.errors.append("is not a codebook; it must be a mapping with name, version, labels")
            data = {}
        else:
            self._known_keys(data, "", _CODEBOOK_KEYS)
            self._needed_keys(data, "", ("name", "version", "labels"))
        name = self._name(data.get("name", "unnamed"), "name")
        groups = self._groups(data.get("groups", {}))
        labels: tuple[Label, ...] = ()
        if "labels" in data:
            labels = self._labels(data["labels"], [group.name for group in groups])
        if not groups:
            named = dict.fromkeys(label.group for label in labels if label.group)
            groups = tuple(Group(group) for group in named)
        set_aside = self._text(data, "set_aside", "set_aside")
        if set_aside and labels:
            self._one_of(set_aside, "set_aside", [label.name for label in labels if label.name])
        return Codebook(
            name=name,
            version=self._text(data, "version", "version") or "",
            labels=labels,
            title=self._text(data, "title", "title") or name,
            language=self._text(data, "language", "language") or "en",
            unit=self._text(data, "unit", "unit"),
            principles=self._statements(data.get("principles", {}), "principles"),
            groups=groups,
            rules=self._texts(data, "rules", "rules"),
            set_aside=set_aside,
        )

    def _groups(self, data: Plain) -> tuple[Group, ...]:
        """Groups with their questions (name → question), or a bare list of names."""
        if isinstance(data, list):
            names = [self._name(item, f"groups[{i}]") for i, item in enumerate(data)]
            self._no_duplicates(names, "groups")
            return tuple(Group(name) for name in names)
        if not data:
            return ()
        if not isinstance(data, dict):
            self.errors.append(f"groups: expected names with a question each, got {_kind(data)}")
            return ()
        return tuple(
            Group(self._name(name, f"groups.{name}"), self._text(data, name, f"groups.{name}"))
            for name in data
        )

    def _labels(self, data: Plain, groups: Sequence[str]) -> tuple[Label, ...]:
        """Labels as a list, or as a mapping of name → definition or fields."""
        entries: list[tuple[str, Plain]] = []
        if isinstance(data, list):
            entries = [(f"labels[{i}]", item) for i, item in enumerate(data)]
        elif isinstance(data, dict):
            for name, item in data.items():
                fields = item if isinstance(item, dict) else {"definition": item}
                entries.append((f"labels.{name}", {"name": name, **fields}))
        elif data:
            self.errors.append(f"labels: expected a list of labels, got {_kind(data)}")
            return ()
        if not entries:
            self.errors.append("labels: there are none; a codebook needs at least one")
        if len(entries) > _MAX_LABELS:
            self.errors.append(f"labels: {len(entries)} of them; at most {_MAX_LABELS} are allowed")
            return ()
        labels = tuple(self._label(item, place, groups) for place, item in entries)
        self._no_duplicates([label.name for label in labels], "labels")
        names = [label.name for label in labels if label.name]
        for (place, _), label in zip(entries, labels, strict=True):
            for i, miss in enumerate(label.near_misses):
                for other in miss.labels:
                    self._one_of(other, f"{place}.near_misses[{i}].labels", names)
                if label.name in miss.labels:
                    self.errors.append(
                        f"{place}.near_misses[{i}].labels: a near miss of '{label.name}' "
                        "cannot get that label"
                    )
        return labels

    def _label(self, data: Plain, place: str, groups: Sequence[str]) -> Label:
        if not isinstance(data, dict):
            self.errors.append(f"{place}: expected a label with name and definition, got "
                               f"{_kind(data)}")  # fmt: skip
            return Label("", "")
        self._known_keys(data, place, _LABEL_KEYS)
        self._needed_keys(data, place, ("name", "definition"))
        group = self._text(data, "group", f"{place}.group")
        if group and groups:
            self._one_of(group, f"{place}.group", groups)
        elif groups and "group" not in data:
            self.errors.append(f"{place}.group: missing; one of {_listed(groups)}")
        return Label(
            name=self._name(data.get("name", ""), f"{place}.name") if "name" in data else "",
            definition=self._text(data, "definition", f"{place}.definition") or "",
            group=group,
            holds_when=self._text(data, "holds_when", f"{place}.holds_when"),
            does_not_hold_when=self._text(
                data, "does_not_hold_when", f"{place}.does_not_hold_when"
            ),
            positives=self._texts(data, "positives", f"{place}.positives"),
            near_misses=self._near_misses(data, f"{place}.near_misses"),
        )

    def _near_misses(self, data: Mapping[str, Plain], place: str) -> tuple[NearMiss, ...]:
        """Near misses: bare texts, or texts with the labels they do get and why."""
        found = []
        for i, item in enumerate(self._list(data, "near_misses", place)):
            here = f"{place}[{i}]"
            fields: dict[str, Plain] = item if isinstance(item, dict) else {"text": item}
            self._known_keys(fields, here, _NEAR_MISS_KEYS)
            self._needed_keys(fields, here, ("text",))
            labels = fields.get("labels")
            if isinstance(labels, str):  # a single label needs no list
                fields = {**fields, "labels": [labels]}
            found.append(
                NearMiss(
                    text=self._text(fields, "text", f"{here}.text") or "",
                    labels=self._texts(fields, "labels", f"{here}.labels", may_be_empty=True),
                    why=self._text(fields, "why", f"{here}.why"),
                )
            )
        return tuple(found)

    def _statements(self, data: Plain, place: str) -> dict[str, str]:
        if not data:
            return {}
        if not isinstance(data, dict):
            self.errors.append(f"{place}: expected names with a statement each, got {_kind(data)}")
            return {}
        return {_one_line(key): self._text(data, key, f"{place}.{key}") or "" for key in data}

    def _list(
        self, data: Mapping[str, Plain], key: str, place: str, may_be_empty: bool = False
    ) -> list[Plain]:
        value = data.get(key)
        if value is None:
            return []
        if not isinstance(value, list):
            self.errors.append(f"{place}: expected a list (- one entry a line), got {_kind(value)}")
            return []
        if not value and not may_be_empty:
            self.errors.append(f"{place}: is empty; give at least one or leave the key out")
        return value

    def _texts(
        self, data: Mapping[str, Plain], key: str, place: str, may_be_empty: bool = False
    ) -> tuple[str, ...]:
        found = []
        for i, item in enumerate(self._list(data, key, place, may_be_empty)):
            found.append(self._text({key: item}, key, f"{place}[{i}]") or "")
        return tuple(found)

    def _text(self, data: Mapping[str, Plain], key: str, place: str) -> str | None:
        """The text under `key`, on one line; None where the key is absent."""
        value = data.get(key)
        if value is None:
            return None
        if not isinstance(value, str):
            hint = " (put quotes round text that holds ': ')" if isinstance(value, dict) else ""
            self.errors.append(f"{place}: expected text, got {_kind(value)}{hint}")
            return None
        text = _one_line(value)
        if not text and not place.startswith("groups."):
            self.errors.append(f"{place}: is empty")
        return text or None

    def _name(self, value: Plain, place: str) -> str:
        name = self._text({"name": value}, "name", place)
        if name and not _NAME.fullmatch(name):
            better = re.sub(r"[^\w-]+", "_", name).strip("_-0123456789")[:64]
            hint = f"; write '{better}'" if _NAME.fullmatch(better) else ""
            self.errors.append(
                f"{place}: '{name[:80]}' is not a name (a letter, then letters, digits, _ or -, "
                f"at most 64){hint}"
            )
        return name or ""

    def _known_keys(self, data: Mapping[str, Plain], place: str, known: Sequence[str]) -> None:
        for key in data:
            if key not in known:
                self.errors.append(
                    f"{_under(place, key)}: unknown key{_nearest(key, known)}; "
                    f"the keys are {_listed(known)}"
                )

    def _needed_keys(self, data: Mapping[str, Plain], place: str, needed: Sequence[str]) -> None:
        self.errors += [f"{_under(place, key)}: missing" for key in needed if key not in data]

    def _one_of(self, value: str, place: str, known: Sequence[str]) -> None:
        if value not in known:
            note = _nearest(value, known)
            self.errors.append(f"{place}: '{value}' is not one of {_listed(known)}{note}")

    def _no_duplicates(self, names: Sequence[str], place: str) -> None:
        seen: dict[str, int] = {}
        for i, name in enumerate(names):
            first = seen.setdefault(name.casefold(), i)
            if name and first != i:
                self.errors.append(
                    f"{place}[{i}]: '{name}' is already the name of {place}[{first}]"
                )


def _one_line(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).split())


def _under(place: str, key: str) -> str:
    return f"{place}.{key}" if place else key


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names)


def _nearest(word: str, known: Sequence[str]) -> str:
    """A suggestion, where one of `known` is close to `word`."""
    from difflib import get_close_matches

    close = get_close_matches(word.casefold(), known, n=1)
    return f" (did you mean '{close[0]}'?)" if close else ""


def _kind(value: Plain) -> str:
    if isinstance(value, dict):
        return "a mapping"
    return "a list" if isinstance(value, list) else "text"
