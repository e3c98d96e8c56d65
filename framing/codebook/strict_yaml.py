"""YAML for codebooks: mappings, lists and text, nothing else.

Every scalar stays the text that was written (`version: 1.10` is "1.10", `language: no` is "no").
Anchors, aliases, tags and duplicate keys are refused, each with its line.
"""

from __future__ import annotations

from typing import TypeAlias

import yaml

Plain: TypeAlias = "str | list[Plain] | dict[str, Plain]"

MAX_BYTES = 1_000_000
MAX_DEPTH = 12

# The C parser is some ten times faster; both read the same language.
_Loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)


def parse(text: str) -> tuple[Plain, list[str]]:
    """Read `text` into dicts, lists and strings, with the list of what is wrong with it.

    Where the list is not empty, the data is only what could be read.
    """
    try:
        size = len(text.encode())
    except UnicodeEncodeError as problem:
        return "", [f"not text: a lone surrogate at character {problem.start}"]
    if size > MAX_BYTES:
        return "", [f"larger than {MAX_BYTES:,} bytes: no codebook is that long"]
    builder = _Builder()
    try:
        for event in yaml.parse(text, Loader=_Loader):
            refusal = _refusal(event) or builder.take(event)
            if refusal:
                return "", [f"line {_line(event)}: {refusal}"]
    except yaml.YAMLError as problem:
        return "", [*builder.errors, _syntax(problem)]
    return (builder.root[0] if builder.root else ""), builder.errors


def dump(data: Plain) -> str:
    """Write `data` as YAML that :func:`parse` reads back unchanged."""
    text: str = yaml.safe_dump(data, allow_unicode=True, sort_keys=False, width=96)
    return text


def _refusal(event: yaml.Event) -> str | None:
    """What this event asks for that a codebook has no use for, or None."""
    if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
        return "anchors and aliases are not allowed; put quotes round text that begins with & or *"
    tag = getattr(event, "tag", None)
    if tag not in (None, "!"):
        return f"tags are not allowed ({tag}); put quotes round text that begins with !"
    return None


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 1


class _Builder:
    """Builds plain data from parser events, without recursion: depth is bounded, not trusted."""

    def __init__(self) -> None:
        self.root: list[Plain] = []
        self.errors: list[str] = []
        self._open: list[list[Plain] | dict[str, Plain]] = [self.root]
        self._keys: list[str | None] = [None]  # per open container, the key waiting for a value

    def take(self, event: yaml.Event) -> str | None:
        """Take one event in; return why reading must stop, or None."""
        line = _line(event)
        if isinstance(event, yaml.ScalarEvent):
            self._put(event.value, line)
        elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            if len(self._open) > MAX_DEPTH:
                return f"nested more than {MAX_DEPTH} levels deep"
            fresh: list[Plain] | dict[str, Plain]
            fresh = {} if isinstance(event, yaml.MappingStartEvent) else []
            self._put(fresh, line)
            self._open.append(fresh)
            self._keys.append(None)
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            self._open.pop()
            self._keys.pop()
        elif isinstance(event, yaml.DocumentStartEvent) and self.root:
            return "a second document begins (---); a codebook is one"
        return None

    def _put(self, value: Plain, line: int) -> None:
        """Place a scalar or a fresh container into the innermost open container."""
        parent, key = self._open[-1], self._keys[-1]
        if isinstance(parent, list):
            parent.append(value)
        elif key is not None:
            parent[key] = value
            self._keys[-1] = None
        elif not isinstance(value, str):
            self.errors.append(f"line {line}: a key must be text, not a list or a mapping")
            self._keys[-1] = f"line {line}"
        else:
            if value in parent:
                self.errors.append(f"line {line}: the key '{value}' stands twice")
            self._keys[-1] = value


def _syntax(problem: yaml.YAMLError) -> str:
    """One line for a syntax error."""
    mark = getattr(problem, "problem_mark", None)
    what = getattr(problem, "problem", None) or " ".join(str(problem).split())
    if mark is None:
        return f"not YAML: {what}"
    return f"line {mark.line + 1}, column {mark.column + 1}: not YAML: {what}"
