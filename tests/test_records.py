"""Records: JSON, JSON Lines and CSV."""

import csv
import io
import json

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stubs import CODEBOOK, PROVENANCE, StubModel

from framing.show.records import SCHEMA, SCHEMA_FILE, write_csv, write_json, write_jsonl
from framing.text.document import Document, Failure, Reason

MODEL = StubModel()
VALIDATOR = jsonschema.Draft202012Validator(json.loads(SCHEMA_FILE.read_text()))
TEXT = "SHOCK in Samarkand\nThe minister said 12 dams\n© 2026 Gazette"
FAILURE = Failure("b.pdf", Reason.TRUNCATED, "the file ends early", "page 3")


def results(evidence=False):
    document = Document("a.txt", TEXT, title="SHOCK in Samarkand", source="Gazette", date="2026")
    return [MODEL.score(document, evidence=evidence), FAILURE, MODEL.score("=1+1\n@x\n-12")]


def json_of(found):
    out = io.BytesIO()
    write_json(found, PROVENANCE, out)
    return out.getvalue()


def csv_of(found):
    out = io.BytesIO()
    write_csv(found, PROVENANCE, CODEBOOK.names, out)
    return list(csv.DictReader(io.StringIO(out.getvalue().decode(), newline="")))


def test_the_schema_is_a_schema():
    jsonschema.Draft202012Validator.check_schema(VALIDATOR.schema)


@pytest.mark.parametrize("evidence", [False, True])
@pytest.mark.parametrize("count", [0, 1, 3])
def test_json_follows_its_schema(evidence, count):
    data = json.loads(json_of(results(evidence)[:count]))
    VALIDATOR.validate(data)
    assert data["schema"] == SCHEMA
    assert data["provenance"] == PROVENANCE.to_dict()
    assert len(data["documents"]) == (0, 1, 1, 2)[count]
    assert data["errors"] == ([FAILURE.to_dict()] if count == 3 else [])


@pytest.mark.parametrize(
    "spoil",
    [
        lambda d: d.pop("provenance"),
        lambda d: d["documents"][0].pop("read_share"),
        lambda d: d["documents"][0]["passages"][0].update(kind="rumour"),
        lambda d: d["documents"][0]["passages"][0]["probabilities"].update(commentary=1.5),
        lambda d: d["documents"][0].update(extra=1),
        lambda d: d["errors"].append({"path": "x", "reason": "bored", "message": "", "where": ""}),
    ],
)
def test_the_schema_refuses_what_is_not_a_result(spoil):
    data = json.loads(json_of(results()))
    spoil(data)
    with pytest.raises(jsonschema.ValidationError):
        VALIDATOR.validate(data)


def test_the_schema_lists_every_reason():
    assert set(VALIDATOR.schema["$defs"]["error"]["properties"]["reason"]["enum"]) == set(Reason)


def test_json_carries_what_was_scored():
    scored = results(evidence=True)[0]
    document = json.loads(json_of([scored]))["documents"][0]
    assert document["title"] == "SHOCK in Samarkand"
    first = document["passages"][0]
    assert TEXT[first["start"] : first["end"]] == first["text"]
    assert first["labels"] == ["sensationalism"]
    assert first["probabilities"] == scored.passages[0].probabilities
    assert first["evidence"]["sensationalism"] == [
        {"start": 0, "end": 5, "text": "SHOCK", "effect": 0.41}
    ]


def test_jsonl_has_provenance_first_then_a_line_for_each_result_in_order():
    out = io.BytesIO()
    write_jsonl(results(), PROVENANCE, out)
    head, first, error, last = map(json.loads, out.getvalue().splitlines())
    whole = json.loads(json_of(results()))
    assert head == {"schema": SCHEMA, "provenance": whole["provenance"]}
    assert [first, last] == whole["documents"]
    assert error == {"error": FAILURE.to_dict()}


def test_jsonl_writes_each_result_before_the_next_is_made():
    out = io.BytesIO()
    lines = []

    def slowly():
        for result in results():
            lines.append(out.getvalue().count(b"\n"))
            yield result

    write_jsonl(slowly(), PROVENANCE, out)
    assert lines == [1, 2, 3]


def test_the_same_results_give_the_same_bytes():
    assert json_of(results()) == json_of(results())


def test_csv_has_a_row_for_each_passage_and_a_column_for_each_probability():
    found = results()
    rows = csv_of(found)
    assert len(rows) == 6
    assert list(rows[0])[:10] == [
        "document_id", "title", "source", "date", "start", "end", "kind", "text", "labels",
        "unsure",
    ]  # fmt: skip
    assert list(rows[0])[10:] == [*(f"p_{name}" for name in CODEBOOK.names), "model"]
    second = found[0].passages[1]
    assert rows[1]["labels"] == "official_source;factual_report"
    assert rows[1]["text"] == TEXT[int(rows[1]["start"]) : int(rows[1]["end"])]
    assert [float(rows[1][f"p_{n}"]) for n in CODEBOOK.names] == [
        second.probabilities[n] for n in CODEBOOK.names
    ]
    assert rows[1]["model"] == "stub@3f2a91c03f2a"


def test_csv_without_documents_still_has_its_header():
    out = io.BytesIO()
    write_csv([FAILURE], PROVENANCE, CODEBOOK.names, out)
    assert out.getvalue().startswith(b'"document_id","title",')
    assert out.getvalue().count(b"\n") == 1


def test_csv_cells_that_a_spreadsheet_would_run_get_an_apostrophe():
    assert [row["text"] for row in csv_of([results()[2]])] == ["'=1+1", "'@x", "'-12"]


@settings(max_examples=40, deadline=None)
@given(
    text=st.text(st.characters(exclude_categories=["Cs"])),
    title=st.none() | st.text(st.characters(exclude_categories=["Cs"])),
)
def test_any_text_comes_back_from_csv_and_json(text, title):
    scored = MODEL.score(Document("x", text, title=title))
    VALIDATOR.validate(json.loads(json_of([scored])))
    passages = [p.text for p in scored.passages]
    assert [p["text"] for p in json.loads(json_of([scored]))["documents"][0]["passages"]] == (
        passages
    )
    rows = csv_of([scored])
    for row, passage in zip(rows, passages, strict=True):
        assert row["text"] in (passage, f"'{passage}")
        assert not row["text"].startswith(("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋"))
        assert not row["title"].startswith(("=", "+", "-", "@", "\t", "\r", "\n", "－", "＠"))
