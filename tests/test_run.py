"""A run from input to tables: what is in them."""

import json
from dataclasses import replace

import pyarrow.parquet as pq
import pytest
from runs import (
    OPTIONS,
    article,
    rows,
    written,
)
from tiny import LABELS

import framing
from framing.corpus.run import run
from framing.corpus.scoring import RunOptions
from framing.corpus.tables import Counts
from framing.text.columns import Choice
from framing.text.document import Failure, Reason
from framing.text.readers import read_documents


def test_every_document_has_a_row_and_every_row_a_key_of_its_own(done, corpus):
    out, summary = done
    documents, errors = rows(out, "documents"), rows(out, "errors")
    keys = [(row["source_file"], row["position"]) for row in documents + errors]
    expected = sum(1 for path in corpus.rglob("*") if path.is_file() for _ in read_documents(path))
    assert len(set(keys)) == len(keys) == expected == summary.rows_in
    passages = sum(row["passages"] + row["set_aside_passages"] for row in documents)
    assert summary.counts == Counts(len(documents), 0, len(errors), passages)
    assert len(rows(out, "passages")) == passages


def test_the_tables_say_what_score_says(done, corpus, bundle):
    out, _ = done
    model = framing.load(bundle)
    documents = {(row["source_file"], row["position"]): row for row in rows(out, "documents")}
    passages = {}
    for row in rows(out, "passages"):
        passages.setdefault((row["source_file"], row["position"]), []).append(row)
    for name in ("a.jsonl", "pages/good.html", "pages/000.txt"):
        for position, document in enumerate(read_documents(corpus / name)):
            if isinstance(document, Failure):
                continue
            scored, row = model.score(document), documents[name, position]
            profile = scored.profile
            assert row["id"] == (document.id if name == "a.jsonl" else name)
            for field in ("title", "source", "date", "author", "body_start"):
                assert row[field] == getattr(scored.document, field)
            assert row["language"] == "en"
            assert row["read_share"] == scored.read_share
            for field in ("passages", "words", "set_aside_passages", "set_aside_words"):
                assert row[field] == getattr(profile, field)
            for label in ("alarm", "hope"):
                assert row[f"share_{label}"] == profile.labels[label].passages
                assert row[f"word_share_{label}"] == profile.labels[label].words
                assert row[f"unsure_{label}"] == profile.labels[label].unsure
            assert "share_advert" not in row
            assert len(passages[name, position]) == len(scored.passages)
            for number, (got, passage) in enumerate(
                zip(passages[name, position], scored.passages, strict=True)
            ):
                assert got["passage"] == number
                assert (got["start"], got["end"]) == (passage.start, passage.end)
                assert got["kind"] == passage.kind
                assert tuple(got["labels"]) == passage.labels
                assert tuple(got["unsure"]) == passage.unsure
                assert got["words"] == passage.words
                assert {x: got[f"p_{x}"] for x in LABELS} == passage.probabilities
                assert "text" not in got


def test_an_error_has_the_id_of_its_row_where_that_can_be_read(tmp_path, bundle):
    (tmp_path / "in").mkdir()
    lines = [
        {"id": "fine", "text": article(1)},
        {"id": "empty", "text": ""},
        {"id": "number", "text": 5},
        {"id": "none"},
        {"text": ""},
        {"id": "long", "text": "word " * 2**20},
    ]
    (tmp_path / "in" / "a.jsonl").write_text("\n".join([*map(json.dumps, lines), "{"]))
    text = article(2, 1)
    (tmp_path / "in" / "b.csv").write_text(f'id,text\n1,"{text}"\n2,the port, closed\n3,""\n')
    (tmp_path / "in" / "c.csv").write_text(f'text,id\n"{text}",1\nthe port, closed,2\n')
    run([str(tmp_path / "in")], tmp_path / "out", model=bundle)
    errors = [
        (row["source_file"], row["id"], row["reason"]) for row in rows(tmp_path / "out", "errors")
    ]
    assert errors == [
        ("a.jsonl", "empty", Reason.NO_TEXT),
        ("a.jsonl", "number", Reason.MALFORMED),
        ("a.jsonl", "none", Reason.NO_TEXT_COLUMN),
        ("a.jsonl", None, Reason.NO_TEXT),
        ("a.jsonl", "long", Reason.TOO_LARGE),
        ("a.jsonl", None, Reason.MALFORMED),
        ("b.csv", "2", Reason.MALFORMED),
        ("b.csv", "3", Reason.NO_TEXT),
        ("c.csv", None, Reason.MALFORMED),
    ]


def test_the_title_is_the_headline_that_the_text_begins_with(tmp_path, bundle):
    (tmp_path / "in").mkdir()
    body = article(3, 3)
    (tmp_path / "in" / "a.txt").write_text(f"Ferry sails  again\n\n{body}")
    (tmp_path / "in" / "b.txt").write_text(body)
    (tmp_path / "in" / "c.jsonl").write_text(
        json.dumps({"title": "Its own", "text": f"# Another\n\n{body}"})
    )
    run([str(tmp_path / "in")], tmp_path / "out", model=bundle)
    titles = [row["title"] for row in rows(tmp_path / "out", "documents")]
    assert titles == ["Ferry sails again", None, "Its own"]
    model = framing.load(bundle)
    for name, title in zip(("a.txt", "b.txt", "c.jsonl"), titles, strict=True):
        (document,) = read_documents(tmp_path / "in" / name)
        scored = model.score(document)
        assert scored.document.title == scored.to_dict()["title"] == title


def test_errors_tell_why(done):
    reasons = {(row["source_file"], row["reason"]) for row in rows(done[0], "errors")}
    assert reasons == {
        ("a.jsonl", Reason.MALFORMED),
        ("a.jsonl", Reason.NO_TEXT),
        ("pages/broken.pdf", Reason.TRUNCATED),
        ("pages/empty.txt", Reason.EMPTY),
    }
    for row in rows(done[0], "errors"):
        assert row["message"]
        if row["source_file"] == "a.jsonl":
            assert row["where"].startswith("line ")


def test_every_file_tells_what_made_it(done, bundle):
    for path in done[0].glob("*/*.parquet"):
        about = json.loads(pq.read_schema(path).metadata[b"framing"])
        assert about["schema"] == "framing.run/1"
        assert about["table"] == path.parent.name
        assert about["provenance"]["bundle"]["fingerprint"] == framing.load(bundle).fingerprint
        assert about["provenance"]["options"]["documents"] == 16


def test_text_is_there_where_it_is_asked_for(tmp_path, corpus, bundle):
    run(
        [str(corpus / "pages" / "000.txt")],
        tmp_path / "out",
        model=bundle,
        options=RunOptions(include_text=True),
    )
    (document,) = read_documents(corpus / "pages" / "000.txt")
    for row in rows(tmp_path / "out", "passages"):
        assert row["text"] == document.text[row["start"] : row["end"]]


def test_a_language_the_model_does_not_read_is_an_error_that_keeps_its_id(tmp_path, bundle):
    french = (
        "Le ministre a déclaré mardi que le pont serait ouvert au mois de mars et que les travaux "
        "avaient coûté douze millions d'euros, selon un communiqué publié à Paris."
    )
    lines = [{"id": "en", "text": article(1)}, {"id": "fr", "text": french}]
    (tmp_path / "in.jsonl").write_text("\n".join(map(json.dumps, lines)))
    run([str(tmp_path / "in.jsonl")], tmp_path / "out", model=bundle)
    (error,) = rows(tmp_path / "out", "errors")
    assert (error["id"], error["reason"], error["position"]) == ("fr", Reason.LANGUAGE, 1)
    options = RunOptions(any_language=True)
    run([str(tmp_path / "in.jsonl")], tmp_path / "all", model=bundle, options=options)
    assert len(rows(tmp_path / "all", "documents")) == 2
    assert not list((tmp_path / "all" / "errors").iterdir())


def test_columns_can_be_named(tmp_path, bundle):
    (tmp_path / "in.csv").write_text(f'a,b,text,d\nx1,Gazette,teaser,"{article(1, 1)}"\n')
    options = RunOptions(columns=Choice(text="d", id="a", source="b"))
    run([str(tmp_path / "in.csv")], tmp_path / "out", model=bundle, options=options)
    (row,) = rows(tmp_path / "out", "documents")
    assert (row["id"], row["source"]) == ("x1", "Gazette")
    assert row["words"] + row["set_aside_words"] == len(article(1, 1).split())


@pytest.mark.parametrize(("workers", "documents"), [(1, 5), (2, 7), (2, 1000)])
def test_rows_do_not_depend_on_workers_or_shards(
    tmp_path, done, corpus, bundle, workers, documents
):
    out = tmp_path / "out"
    options = replace(OPTIONS, documents=documents)
    run([str(corpus)], out, model=bundle, options=options, workers=workers)
    for table in ("passages", "documents", "errors"):
        assert rows(out, table) == rows(done[0], table)


def test_the_parts_of_a_divided_run_are_those_of_an_undivided_one(tmp_path, done, corpus, bundle):
    tables = {}
    for part in ((1, 3), (2, 3), (3, 3)):
        out = tmp_path / str(part[0])
        run([str(corpus)], out, model=bundle, options=OPTIONS, part=part)
        mine = {name: digest for name, digest in written(out).items() if "/" in name}
        assert not tables.keys() & mine.keys()
        assert {int(name[-16:-8]) % 3 for name in mine} <= {part[0] - 1}
        tables |= mine
    assert tables == {name: digest for name, digest in written(done[0]).items() if "/" in name}


def test_nothing_but_bad_documents(tmp_path, bundle):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "empty.txt").write_bytes(b"")
    summary = run([str(tmp_path / "in")], tmp_path / "out", model=bundle)
    assert (summary.rows_in, summary.counts) == (1, Counts(errors=1))
    assert rows(tmp_path / "out", "passages") == rows(tmp_path / "out", "documents") == []
