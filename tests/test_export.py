"""What a run wrote goes out whole, and other programs read it."""

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from made_run import CONTENTS, HOSTILE, SOURCE, document, make_run
from runs import written
from stubs import CODEBOOK, StubModel

from framing.corpus import export as exporting
from framing.corpus.export import Exported, export
from framing.corpus.manifest import RunRefused

KEY = ["source_file", "position", "id"]
COPIES = {(0, 9): (0, 1)}


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("run") / "out", copies=COPIES)


def exported(out, form, **options):
    target = io.BytesIO()
    done = export(out, form, target, **options)
    return done, target.getvalue()


def parquet_rows(out, table):
    paths = sorted((out / table).glob("*.parquet"))
    return [row for path in paths for row in pq.read_table(path).to_pylist()]


def csv_rows(data):
    return list(csv.DictReader(io.StringIO(data.decode(), newline="")))


@pytest.mark.parametrize("table", ["passages", "documents", "errors"])
def test_json_lines_are_the_tables_row_by_row(out, table):
    done, data = exported(out, "jsonl", table=table)
    rows = [json.loads(line) for line in data.splitlines()]
    model = {"model": "stub@3f2a91c03f2a"}
    assert rows == [row | model for row in parquet_rows(out, table)]
    assert done == Exported(len(rows))
    assert len(rows) == {"passages": 43, "documents": 10, "errors": 1}[table]


def test_csv_holds_the_same_and_no_formula(out):
    _, data = exported(out, "csv")
    rows, wanted = csv_rows(data), parquet_rows(out, "passages")
    assert list(rows[0]) == [*wanted[0], "model"]
    for row, want in zip(rows, wanted, strict=True):
        assert int(row["position"]) == want["position"]
        assert row["text"].removeprefix("'") == want["text"]
        assert row["labels"].split(";") == (want["labels"] or [""])
        assert [float(row[f"p_{x}"]) for x in CODEBOOK.names] == [
            want[f"p_{x}"] for x in CODEBOOK.names
        ]
        for value in row.values():
            assert not value.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
    texts = [row["text"] for row in rows if row["position"] == "2"]
    assert texts == [f"'{HOSTILE}", "'@SUM(A1)", "\u202eПривет, 世界 🌉\x0b\x07 end"]
    assert {row["id"] for row in rows if row["position"] == "1"} == {"'-1+2"}


def test_an_empty_cell_is_a_null_and_lists_are_joined(out):
    rows = csv_rows(exported(out, "csv", table="documents")[1])
    copy = next(row for row in rows if row["position"] == "9")
    assert (copy["copy_of_file"], copy["copy_of_position"]) == (SOURCE, "1")
    assert copy["words"] == copy["share_official_source"] == ""
    first = next(row for row in rows if row["position"] == "1")
    assert first["warnings"] == "was cut; see there;odd"
    assert first["author"] == 'A. "Quill", reporter'
    assert first["copy_of_file"] == ""


@pytest.mark.parametrize("form", ["csv", "jsonl", "xlsx"])
def test_the_same_run_gives_the_same_bytes(out, form, tmp_path):
    if form == "xlsx":
        pytest.importorskip("xlsxwriter")
    again = make_run(tmp_path / "again", copies=COPIES)
    assert exported(out, form)[1] == exported(again, form)[1]


def test_excel_opens_it_with_text_as_text(out):
    pytest.importorskip("xlsxwriter")
    openpyxl = pytest.importorskip("openpyxl")
    done, data = exported(out, "xlsx")
    sheet = openpyxl.load_workbook(io.BytesIO(data), read_only=True).active
    head, *rows = [[cell.value for cell in row] for row in sheet.iter_rows()]
    wanted = parquet_rows(out, "passages")
    assert (done.rows, done.cut) == (len(rows), 0) == (len(wanted), 0)
    assert head == [*wanted[0], "model"]
    for cells, want in zip(rows, wanted, strict=True):
        row = dict(zip(head, cells, strict=True))
        assert (row["source_file"], row["position"]) == (SOURCE, want["position"])
        assert row["p_speculation"] == pytest.approx(want["p_speculation"], abs=0)
        if want["position"] != 2:
            assert row["text"].removeprefix("'") == want["text"]
    assert f"'{HOSTILE}" in [row[head.index("text")] for row in rows]
    types = {cell.data_type for row in sheet.iter_rows() for cell in row}
    assert types <= {"s", "n", "inlineStr"}  # no formula ("f"), no error


def test_excel_cuts_what_no_cell_holds_and_says_so(tmp_path):
    pytest.importorskip("xlsxwriter")
    openpyxl = pytest.importorskip("openpyxl")
    long = make_run(tmp_path, [document(0, text="word " * 8000), document(1)])
    done, data = exported(long, "xlsx")
    assert done.cut == 1
    sheet = openpyxl.load_workbook(io.BytesIO(data)).active
    cell = next(cell for cell in sheet[1] if cell.value == "text")
    texts = [row[cell.column - 1].value for row in sheet.iter_rows(min_row=2)]
    assert len(texts[0]) == 32_767
    assert texts[0].endswith("[…]")
    assert exported(long, "csv")[1].count(b"word ") == 8000


def test_more_rows_than_a_sheet_holds_are_refused_before_any_is_written(out, monkeypatch):
    monkeypatch.setattr(exporting, "MAX_SHEET_ROWS", 43)
    target = io.BytesIO()
    with pytest.raises(RunRefused, match=r"43 passages and a sheet of Excel holds 42: export csv"):
        export(out, "xlsx", target)
    assert target.getvalue() == b""


def test_an_unfinished_run_is_refused_or_taken_as_far_as_it_has_come(tmp_path):
    begun = make_run(tmp_path, shards=2)
    with pytest.raises(RunRefused, match=r"is not complete \(6 documents so far\).*--partial"):
        exported(begun, "csv")
    done, data = exported(begun, "csv", partial=True, table="documents")
    assert done.rows == 5
    assert [row["position"] for row in csv_rows(data)] == ["0", "1", "2", "4", "5"]


def test_what_the_manifest_does_not_list_is_not_exported(out, tmp_path):
    begun = make_run(tmp_path, shards=2)
    stray = sorted((out / "passages").glob("*"))[-1]
    (begun / "passages" / stray.name).write_bytes(stray.read_bytes())
    rows = csv_rows(exported(begun, "csv", partial=True)[1])
    assert max(int(row["position"]) for row in rows) == 5


def test_what_is_no_run_and_what_holds_nothing_is_refused(tmp_path):
    with pytest.raises(RunRefused, match="is not the output of a run"):
        exported(tmp_path, "csv")
    fine = make_run(tmp_path / "fine", [document(1)])
    with pytest.raises(RunRefused, match="has no errors"):
        exported(fine, "csv", table="errors")


# --- other programs on OUT itself -------------------------------------------------------------


@pytest.mark.parametrize("table", ["passages", "documents", "errors"])
def test_arrow_metadata_carries_the_provenance(out, table):
    for path in (out / table).glob("*.parquet"):
        about = json.loads(pq.read_schema(path).metadata[b"framing"])
        assert about["table"] == table
        assert about["schema"] == "framing.run/1"
        origin = about["provenance"]
        assert origin["bundle"] == {"name": "stub", "fingerprint": StubModel.fingerprint}
        assert origin["codebook"]["fingerprint"] == CODEBOOK.fingerprint
        assert origin["options"]["include_text"] is True


def test_pandas_reads_it(out):
    pandas = pytest.importorskip("pandas")
    passages = pandas.read_parquet(out / "passages")
    documents = pandas.read_parquet(out / "documents")
    joined = passages.merge(documents, on=KEY[:2], validate="many_to_one")
    assert len(joined) == len(passages) == 43
    wanted = parquet_rows(out, "passages")
    assert np.array_equal(passages["p_commentary"], [row["p_commentary"] for row in wanted])
    assert list(passages["labels"].iloc[1]) == wanted[1]["labels"]


def test_polars_reads_it(out):
    polars = pytest.importorskip("polars")
    found = polars.scan_parquet(out / "passages" / "*.parquet").sort(*KEY[:2], "passage").collect()
    assert found["labels"].to_list() == [row["labels"] for row in parquet_rows(out, "passages")]
    assert found.filter(polars.col("labels").list.contains("official_source")).height == 8


def test_duckdb_reads_it(out):
    duckdb = pytest.importorskip("duckdb")
    found = duckdb.sql(
        f"select source, count(*) from '{out}/passages/*.parquet' "
        f"join '{out}/documents/*.parquet' using (source_file, position) "
        "where list_contains(labels, 'official_source') group by all"
    ).fetchall()
    assert found == [("Example Times", 8)]


def test_datasets_reads_it_offline(out, tmp_path):
    pytest.importorskip("datasets")
    code = f"""if True:
        import datasets
        files = {{t: f"{out}/{{t}}/*.parquet" for t in ("passages",)}}
        loaded = datasets.load_dataset("parquet", data_files=files, cache_dir={str(tmp_path)!r})
        rows = loaded["passages"]
        print(len(rows), rows[1]["labels"], rows.features["labels"].feature.dtype)
    """
    env = {"HF_DATASETS_OFFLINE": "1", "HF_HUB_OFFLINE": "1", "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=env, timeout=120
    )
    labels = parquet_rows(out, "passages")[1]["labels"]
    assert done.stdout.strip() == f"43 {labels} string", done.stderr


# --- the command ------------------------------------------------------------------------------


def framing(*args):
    return subprocess.run(
        [sys.executable, "-m", "framing", *map(str, args)], capture_output=True, text=True
    )


def test_the_command_takes_the_format_from_the_name(out, tmp_path):
    done = framing("export", out, "-o", tmp_path / "passages.jsonl")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"wrote 43 passages to {tmp_path}/passages.jsonl\n"
    assert len((tmp_path / "passages.jsonl").read_text("utf-8").splitlines()) == 43
    done = framing("export", out, "-o", tmp_path / "passages.gazette", "-f", "jsonl")
    same = (tmp_path / "passages.gazette").read_bytes() == (
        tmp_path / "passages.jsonl"
    ).read_bytes()
    assert (done.returncode, same) == (0, True)
    shown = framing("export", out, "--table", "errors")
    assert shown.stdout.splitlines()[1].endswith('"stub@3f2a91c03f2a"')


def test_the_command_leaves_run_and_target_alone_where_it_is_refused(out, tmp_path):
    before = written(out)
    target = Path(tmp_path, "old.csv")
    target.write_text("old")
    for args, line in [
        ((tmp_path, "-o", target), "is not the output of a run"),
        ((out, "-f", "xlsx"), "name a file after -o"),
        ((out, "-o", tmp_path / "x.ods"), ".ods is none of .csv, .jsonl, .xlsx"),
        ((out, "-o", tmp_path / "x.csv.gz"), ".gz is none of .csv, .jsonl, .xlsx"),
        ((out, "-o", tmp_path), "is a directory"),
    ]:
        done = framing("export", *args)
        assert done.returncode == 2
        assert done.stdout == ""
        assert line in done.stderr
        assert done.stderr.count("\n") == 1
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]
    assert written(out) == before


def test_every_document_is_in_one_table(out):
    keys = [(r["source_file"], r["position"]) for t in ("documents", "errors") for r in
            parquet_rows(out, t)]  # fmt: skip
    assert sorted(keys) == [(SOURCE, position) for position in range(len(CONTENTS))]
