"""The table view: what people read on a screen, in a pipe, without colour."""

import io
import re
from dataclasses import replace

import pytest
from rich.cells import cell_len
from rich.color import Color
from rich.console import Console
from stubs import CODEBOOK, StubModel

from framing.cli.score import EXAMPLE
from framing.codebook.codebook import Codebook
from framing.model.scored import Decision, Span
from framing.show.codebook import write_codebook
from framing.show.plain import percent, plural, printable
from framing.show.terminal import COLOURS, GREY, console_for, write_table
from framing.text.document import Document, Failure, Reason

MODEL = StubModel()
ARTICLE = Document("summit.txt", EXAMPLE.read_text(encoding="utf-8"), source="Gazette")
ANSI = re.compile(r"\x1b\[[0-9;]*m")


def shown(*results, width=80, codebook=CODEBOOK, encoding="utf-8", **console):
    out = io.BytesIO()
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    write_table(
        results, codebook, Console(file=stream, width=width, highlight=False, **console), out
    )
    return out.getvalue().decode(encoding)


def squeezed(text):
    """Words alone: how lines break does not matter."""
    return " ".join(ANSI.sub("", text).split())


@pytest.mark.parametrize("width", [40, 66, 80, 118])
@pytest.mark.parametrize("evidence", [False, True])
def test_no_line_is_wider_than_the_terminal_and_plain_lines_end_in_no_spaces(width, evidence):
    scored = MODEL.score(ARTICLE, evidence=evidence)
    for line in shown(scored, width=width).splitlines():
        assert cell_len(line) <= width
        assert line == line.rstrip()


def test_every_passage_is_there_with_its_labels_and_probabilities():
    scored = MODEL.score(ARTICLE)
    text = shown(scored, width=400)
    for number, passage in enumerate(scored.passages, start=1):
        assert passage.text in text
        row = next(line for line in text.splitlines() if passage.text in line)
        assert row.split()[0] == str(number)
    assert re.search(r"SHOCK in Samarkand.* ◆ sensationalism\s+9\d%", text)
    assert re.search(r"nobody's fault.* \? commentary\s+4\d%", text)


def test_a_pipe_gets_neither_colour_nor_escape_codes():
    assert "\x1b" not in shown(MODEL.score(ARTICLE, evidence=True))


def test_no_color_keeps_the_marks_and_drops_the_colours(monkeypatch):
    scored = MODEL.score(ARTICLE, evidence=True)
    terminal = {"force_terminal": True, "color_system": "256"}
    assert "\x1b[1;38;5;162m" in shown(scored, **terminal)
    monkeypatch.setenv("NO_COLOR", "1")
    text = shown(scored, **terminal)
    assert "38;5" not in text
    assert "◆ sensationalism" in text
    assert "\x1b[4mminister\x1b[0m" in text  # evidence stays underlined


def test_evidence_is_underlined_on_a_terminal_and_bracketed_elsewhere():
    scored = MODEL.score("The minister of dams said so", evidence=True)
    assert "The ‹minister› of dams" in shown(scored)
    terminal = shown(scored, force_terminal=True, color_system="256")
    assert "‹" not in terminal
    assert re.search(r"\x1b\[[\d;]*4[\d;]*mminister\x1b", terminal)
    for text in (shown(scored), ANSI.sub("", terminal)):
        assert "official_source “minister” −41" in text


def test_evidence_that_hardly_matters_is_not_shown():
    scored = MODEL.score("The minister of dams said so", evidence=True)
    passage = scored.passages[0]
    spans = {name: (replace(each[0], effect=0.019),) for name, each in passage.evidence.items()}
    weak = replace(scored, passages=(replace(passage, evidence=spans),))
    assert "The minister of dams" in shown(weak)
    assert "“minister”" not in shown(weak)


def test_overlapping_evidence_is_bracketed_once():
    scored = MODEL.score("x SHOCK y", evidence=True)
    passage = scored.passages[0]
    spans = {**passage.evidence, "commentary": passage.evidence["sensationalism"]}
    doubled = decided(scored, commentary=Decision.YES, evidence=spans)
    assert "x ‹SHOCK› y" in shown(doubled)
    assert "commentary “SHOCK”" in shown(doubled)


def test_evidence_comes_in_the_order_of_the_margin_with_one_span_for_what_is_unsure():
    scored = MODEL.score("x SHOCK y “z”", evidence=True)
    spans = (Span(0, 1, 0.5), Span(2, 7, 0.4), Span(10, 13, 0.3))
    text = shown(
        decided(
            scored,
            official_source=Decision.UNSURE,
            sensationalism=Decision.YES,
            evidence={"official_source": spans, "sensationalism": spans},
        )
    )
    assert text.count("“x” −50 · “SHOCK” −40 · “z” −30") == 1
    assert text.index("sensationalism “x” −50 ·") < text.index("? official_source “x” −50")


def decided(scored, *, evidence, **decisions):
    """The scored document of one passage with other decisions and evidence."""
    (passage,) = scored.passages
    predictions = tuple(
        replace(p, decision=decisions.get(p.label, p.decision)) for p in passage.predictions
    )
    changed = replace(passage, predictions=predictions, evidence=evidence)
    return replace(scored, passages=(changed,))


def test_boilerplate_takes_one_line_and_is_listed_as_set_aside():
    scored = MODEL.score(ARTICLE)
    text = shown(scored)
    assert re.search(r"\d+\s+Sign up for our weekly.*…\s+■ boilerplate\s+9\d%\n", text)
    assert "set aside as boilerplate: 2 (" in text


def test_long_boilerplate_can_be_read_in_full():
    text = f"Sign up for our weekly letter. {'All of the story that follows. ' * 6}The end."
    (passage,) = (scored := MODEL.score(Document("a", text))).passages
    assert "boilerplate" in passage.labels
    text = shown(scored)
    assert "The end." in text
    assert "…" not in text


def test_a_narrow_profile_keeps_its_figures():
    scored = MODEL.score(ARTICLE)
    share = scored.profile.labels["factual_report"]
    line = rf"■ factual_report\s+{percent(share.passages)}\s+{percent(share.words)}"
    assert re.search(line, shown(scored, width=60))


def test_the_profile_tells_shares_what_was_read_and_warnings():
    scored = replace(MODEL.score(ARTICLE), read_share=0.972, warnings=("something odd",))
    text = shown(scored)
    share = scored.profile.labels["factual_report"]
    assert re.search(
        rf"■ factual_report\s+█\S*\s+{percent(share.passages)}\s+█\S*\s+{percent(share.words)}",
        text,
    )
    assert "97% read" in text
    assert "! something odd" in text
    assert "Not found: anonymous_source, media_relay" in text
    assert "● voice   ◆ tone   ▲ stance   ■ content   ? unsure" in text
    assert "stub 3f2a91c0, codebook core" in text


def test_a_title_is_shown_unless_it_is_the_first_passage():
    titled = Document("a", "One line\nTwo lines", title="One line")
    assert squeezed(shown(MODEL.score(titled))).count("One line") == 1
    other = Document("a", "One line\nTwo lines", title="Another title")
    assert shown(MODEL.score(other)).startswith("Another title\n")


def test_several_documents_get_a_short_block_each():
    second = Document("b.txt", "SHOCK news\nA minister said so", title="The second article")
    failure = Failure("c.txt", Reason.EMPTY, "empty")
    text = shown(MODEL.score(ARTICLE), failure, MODEL.score(second))
    assert "Profile" not in text
    assert "The second article\nb.txt\n" in text
    assert "◆ sensationalism 50%" in text
    assert len(text.splitlines()) < 20


def test_one_document_among_failures_is_shown_in_full():
    failure = Failure("c.txt", Reason.EMPTY, "empty")
    assert "Profile" in shown(failure, MODEL.score(ARTICLE), failure)


def test_nothing_scored_shows_nothing():
    assert shown(Failure("c.txt", Reason.EMPTY, "empty")) == ""
    assert "0 passages" in shown(MODEL.score(""))


def test_a_document_cannot_steer_the_terminal():
    hostile = Document(
        "a\x1b[2J.txt", "Up\x1b[31m red \x9b5m \u202etxet\x07", title="t\x1b]0;x\x07\nnext"
    )
    text = shown(MODEL.score(hostile), force_terminal=True, color_system="256")
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", ANSI.sub("", text))
    assert "\x1b[31m" not in text
    assert "\x1b[2J" not in text


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_encodings_without_marks_get_others(encoding):
    text = shown(MODEL.score(ARTICLE, evidence=True), encoding=encoding)
    assert "o official_source" in text
    assert "The Kyrgyz energy [ministry] said" in squeezed(text)
    doubts = [word for word in re.findall(r"\S*\?\S*", text) if word not in ("?", "breakfast?")]
    assert doubts == []


def test_a_codebook_without_groups_has_one_colour_and_no_legend_of_groups():
    plain = Codebook.from_yaml(
        "name: x\nversion: 1\nlabels:\n" + "".join(f"  {n}: d\n" for n in CODEBOOK.names)
    )
    text = shown(MODEL.score("The minister met 12"), codebook=plain)
    assert "● factual_report" in text
    assert "voice" not in text


def contrast(colour, with_luminance):
    channels = [c / 255 for c in Color.parse(colour).get_truecolor()]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    own = sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
    high, low = max(own, with_luminance), min(own, with_luminance)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("colour", [*COLOURS, GREY])
@pytest.mark.parametrize("background", [0.0, 1.0])
def test_colours_read_on_black_and_on_white(colour, background):
    assert contrast(colour, background) >= 4


def test_a_file_gets_a_console_without_colour():
    console = console_for(None)
    assert (console.width, console.is_terminal, console.encoding) == (100, False, "utf-8")


def test_a_codebook_is_shown_whole():
    out = io.BytesIO()
    write_codebook(CODEBOOK, Console(file=io.StringIO(), width=80), out)
    text = squeezed(out.getvalue().decode())
    for label in CODEBOOK.labels:
        for part in [label.name, label.definition, *label.positives]:
            assert " ".join(part.replace("`", "").split()) in text
    assert "11. Not English, or garbled beyond reading: no label." in text
    assert "boilerplate (set aside: not part of the story)" in text


def test_small_wordings():
    shares = (0, 0.001, 0.5, 0.996, 1)
    assert [percent(p) for p in shares] == ["0%", "<1%", "50%", ">99%", "100%"]
    assert plural(1, "word") == "1 word"
    assert plural(1204, "word") == "1,204 words"
    assert printable("a\nb\tc\x1b") == "a b c\N{REPLACEMENT CHARACTER}"


@pytest.mark.parametrize(
    ("id", "line"),
    [("d7", "in/rows.csv · d7"), ("rows.csv#7", "rows.csv#7"), ("rows.csv", "rows.csv")],
)
def test_a_row_with_an_id_of_its_own_is_shown_with_its_file(id, line):
    document = Document(id, "The minister of dams said so", file="in/rows.csv")
    assert line in shown(MODEL.score(document)).splitlines()
    blocks = shown(MODEL.score(document), MODEL.score(document)).splitlines()
    assert blocks.count(line) == 2
