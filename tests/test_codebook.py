"""The codebook as data: the shipped one, a newcomer's, and everything that is refused."""

import itertools
import random

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from framing.codebook.codebook import Codebook, CodebookError, Label, NearMiss, shipped

CORE = Codebook.load("core")
GROUPS = {
    "voice": {
        "official_source",
        "analyst_quote",
        "anonymous_source",
        "media_relay",
        "participant_source",
    },
    "tone": {"sensationalism", "loaded_language"},
    "stance": {"commentary", "state_aligned", "advocacy", "speculation"},
    "content": {"factual_report", "boilerplate"},
}
FIVE_LINES = """\
name: climate
version: 1
labels:
  alarm: The passage warns of harm from a changing climate.
  hope: The passage tells of a remedy that works.
"""


def errors_of(text: str) -> tuple[str, ...]:
    with pytest.raises(CodebookError) as caught:
        Codebook.from_yaml(text, "mine.yaml")
    return caught.value.errors


def test_core_is_version_2_with_thirteen_labels_in_four_groups():
    assert (CORE.name, CORE.version, CORE.set_aside) == ("core", "2", "boilerplate")
    assert {g.name: {x.name for x in CORE.labels if x.group == g.name} for g in CORE.groups} == (
        GROUPS
    )
    assert all(group.question.endswith("?") for group in CORE.groups)
    assert len(CORE.names) == 13
    assert len(CORE.rules) == 11
    assert set(CORE.principles) == {"context", "symmetry", "not truth"}
    assert CORE.unit.startswith("A passage is one headline, paragraph or list item")
    assert shipped() == ("core",)


@pytest.mark.parametrize("label", CORE.labels, ids=lambda label: label.name)
def test_core_labels_are_complete_and_their_near_misses_explained(label):
    assert label.definition
    assert label.holds_when
    assert label.does_not_hold_when
    assert len(label.positives) == len(label.near_misses) == 2
    for miss in label.near_misses:
        assert miss.labels
        assert miss.why
        assert label.name not in miss.labels


def test_core_examples_are_all_different_passages_of_news_length():
    texts = [t for x in CORE.labels for t in [*x.positives, *(m.text for m in x.near_misses)]]
    assert len(set(texts)) == len(texts) == 52
    assert all(5 <= len(text.split()) <= 120 for text in texts)


def test_core_near_misses_obey_rule_2():
    for miss in itertools.chain.from_iterable(label.near_misses for label in CORE.labels):
        if "factual_report" in miss.labels:
            assert not {"sensationalism", "state_aligned", "advocacy"} & set(miss.labels)


def test_a_label_by_name():
    assert CORE["advocacy"].group == "stance"
    with pytest.raises(KeyError, match="no label 'advocate'"):
        CORE["advocate"]


def test_five_lines_are_a_codebook():
    codebook = Codebook.from_yaml(FIVE_LINES)
    assert codebook.names == ("alarm", "hope")
    assert codebook["hope"].definition == "The passage tells of a remedy that works."
    assert (codebook.title, codebook.groups, codebook.set_aside) == ("climate", (), None)


def test_labels_as_a_list_equal_labels_as_a_mapping():
    as_list = """
    name: climate
    version: "1"
    labels:
      - {name: alarm, definition: The passage warns of harm from a changing climate.}
      - {name: hope, definition: The passage tells of a remedy that works.}
    """
    assert Codebook.from_yaml(as_list) == Codebook.from_yaml(FIVE_LINES)


def test_groups_that_only_labels_name_are_gathered_in_order():
    text = "name: x\nversion: 1\nlabels:\n" + "".join(
        f"  - {{name: {n}, definition: d, group: {g}}}\n" for n, g in ["az", "by", "cz"]
    )
    assert [group.name for group in Codebook.from_yaml(text).groups] == ["z", "y"]


def test_scalars_stay_what_was_written():
    codebook = Codebook.from_yaml(
        "name: x\nversion: 1.10\nlanguage: no\nlabels: {yes: on, off: 2024-01-01}\n"
    )
    assert (codebook.version, codebook.language) == ("1.10", "no")
    assert codebook.names == ("yes", "off")
    assert codebook["off"].definition == "2024-01-01"


def test_yaml_loads_back_to_an_equal_codebook():
    again = Codebook.from_yaml(CORE.to_yaml())
    assert again == CORE
    assert again.fingerprint == CORE.fingerprint


def shuffled(data, rng):
    """The same data with every mapping's keys in another order."""
    if isinstance(data, dict):
        keys = list(data)
        rng.shuffle(keys)
        return {key: shuffled(data[key], rng) for key in keys}
    return [shuffled(item, rng) for item in data] if isinstance(data, list) else data


@pytest.mark.parametrize("flow", [None, True, False])
@pytest.mark.parametrize("width", [20, 200])
def test_fingerprint_ignores_layout_comments_and_key_order(flow, width):
    data = shuffled(CORE.to_dict(), random.Random(width))
    text = yaml.safe_dump(
        data, sort_keys=False, default_flow_style=flow, width=width, allow_unicode=False
    )
    assert Codebook.from_yaml("# a comment\n" + text).fingerprint == CORE.fingerprint


@pytest.mark.parametrize(
    ("old", "new"),
    [("warns of", "warns of any"), ("version: 1", "version: 2"), ("hope:", "hopes:")],
)
def test_fingerprint_changes_with_the_content(old, new):
    changed = Codebook.from_yaml(FIVE_LINES.replace(old, new))
    assert changed.fingerprint != Codebook.from_yaml(FIVE_LINES).fingerprint


def test_order_of_labels_is_content():
    head, alarm, hope = FIVE_LINES.rpartition("  alarm")[0], *FIVE_LINES.splitlines()[3:]
    swapped = Codebook.from_yaml(f"{head}{hope}\n{alarm}\n")
    assert swapped.names == ("hope", "alarm")
    assert swapped.fingerprint != Codebook.from_yaml(FIVE_LINES).fingerprint


MANY_ERRORS = """\
name: my codebook
version: 1
groups: {voice: Who?, tone: How?}
titel: x
labels:
  - {name: a, definition: x, group: tonne}
  - name: A
    definition: ''
    group: tone
    positives: []
    holdswhen: z
    near_misses: [{text: q, labels: [b, A]}, {why: u}]
  - hello
  - {name: 9 lives, group: voice, definition: {he said: yes}}
  - {definition: d}
set_aside: b
"""


@pytest.mark.parametrize(
    "expected",
    [
        "titel: unknown key (did you mean 'title'?)",
        "name: 'my codebook' is not a name",
        "write 'my_codebook'",
        "labels[0].group: 'tonne' is not one of voice, tone (did you mean 'tone'?)",
        "labels[1].definition: is empty",
        "labels[1].positives: is empty; give at least one",
        "labels[1].holdswhen: unknown key (did you mean 'holds_when'?)",
        "labels[1]: 'A' is already the name of labels[0]",
        "labels[1].near_misses[0].labels: 'b' is not one of a, A",
        "labels[1].near_misses[0].labels: a near miss of 'A' cannot get that label",
        "labels[1].near_misses[1].text: missing",
        "labels[2]: expected a label with name and definition, got text",
        "labels[3].name: '9 lives' is not a name",
        "labels[3].definition: expected text, got a mapping (put quotes round text",
        "labels[4].name: missing",
        "labels[4].group: missing; one of voice, tone",
        "set_aside: 'b' is not one of a, A",
    ],
)
def test_every_error_is_listed_with_its_place(expected):
    assert any(expected in error for error in errors_of(MANY_ERRORS))


def test_the_error_says_how_many_and_where():
    with pytest.raises(CodebookError, match=r"codebook mine\.yaml: 2 errors\n  version: missing\n"):
        Codebook.from_yaml("name: x", "mine.yaml")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "is empty"),
        ("just words", "is not a codebook"),
        ("- a\n- b", "is not a codebook"),
        ("name: x\nversion: 1\nlabels: []", "labels: there are none"),
        ("name: x\nversion: 1\nlabels: words", "labels: expected a list"),
        ("name: x\nversion: [1]\nlabels: {a: b}", "version: expected text, got a list"),
        ("name: x\nname: y\nversion: 1\nlabels: {a: b}", "line 2: the key 'name' stands twice"),
        ("name: x\nversion: 1\nlabels: {a: b, a: c}", "line 3: the key 'a' stands twice"),
        ("? [a]\n: b", "line 1: a key must be text"),
        ("name: &x y\nversion: *x", "line 1: anchors and aliases are not allowed"),
        ("name: !!python/object/apply:os.system ['true']", "line 1: tags are not allowed"),
        ("name: x\n---\nname: y", "line 2: a second document"),
        ("name: 'x", "not YAML"),
        ("name: x\nversion: 1\nlabels:\n  a: he said: no", "line 4, column 13: not YAML"),
        ("name: \x00", "not YAML"),
        ("name: \ud800", "not text"),
        ("a: " + "[" * 50, "line 1: nested more than"),
        ("x" * 1_000_001, "larger than 1,000,000 bytes"),
        (
            "name: x\nversion: 1\nlabels:\n" + "".join(f"  l{i}: d\n" for i in range(501)),
            "labels: 501 of them; at most 500",
        ),
    ],
)
def test_what_is_not_a_codebook_is_refused_in_one_line(text, expected):
    assert any(expected in error for error in errors_of(text))
    assert all("\n" not in error for error in errors_of(text))


def test_a_billion_laughs_stay_small():
    bomb = "a: &a [x,x,x,x]\n" + "".join(
        f"{b}: &{b} [*{a},*{a},*{a},*{a}]\n" for a, b in itertools.pairwise("abcdefghijklmnop")
    )
    assert errors_of(bomb) == (
        "line 1: anchors and aliases are not allowed; "
        "put quotes round text that begins with & or *",
    )


def test_files_are_loaded_and_what_cannot_be_loaded_is_said(tmp_path):
    good = tmp_path / "mine.yaml"
    good.write_text("\ufeff" + FIVE_LINES, encoding="utf-8")
    assert Codebook.load(good) == Codebook.from_yaml(FIVE_LINES)
    latin = tmp_path / "latin.yaml"
    latin.write_bytes("name: café".encode("latin-1"))
    huge = tmp_path / "huge.yaml"
    huge.write_bytes("é".encode() * 600_000)
    for path, expected in [
        (tmp_path, "is a directory"),
        (tmp_path / "none.yaml", "no such file"),
        (latin, "not UTF-8 at byte 9"),
        (huge, "larger than"),
    ]:
        with pytest.raises(CodebookError, match=expected) as caught:
            Codebook.load(path)
        assert caught.value.origin == str(path)


prose = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1).filter(str.strip)
near_misses = st.builds(NearMiss, text=prose, why=st.none() | prose)
names = st.from_regex(r"[a-zé][a-z0-9_-]{0,8}", fullmatch=True)
optional = {key: st.none() | prose for key in ("holds_when", "does_not_hold_when")}


@settings(max_examples=25, deadline=None)
@given(data=st.data(), labels=st.lists(names, min_size=1, max_size=5, unique_by=str.casefold))
def test_any_codebook_survives_its_own_yaml(data, labels):
    made = Codebook(
        name="x",
        version=data.draw(prose),
        title="t",
        labels=tuple(
            data.draw(
                st.builds(
                    Label,
                    name=st.just(name),
                    definition=prose,
                    group=st.none(),
                    positives=st.lists(prose, max_size=2).map(tuple),
                    near_misses=st.lists(near_misses, max_size=2).map(tuple),
                    **optional,
                )
            )
            for name in labels
        ),
    )
    once = Codebook.from_yaml(made.to_yaml())  # spaces and accents brought to one form
    assert once.names == tuple(label.name for label in once.labels)
    assert Codebook.from_yaml(once.to_yaml()) == once
    assert Codebook.from_yaml(once.to_yaml()).fingerprint == once.fingerprint
