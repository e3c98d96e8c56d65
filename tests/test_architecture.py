"""The house rules: who may import whom, and what stays out of a light import."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "framing"
MODULES = sorted(PACKAGE.rglob("*.py"))

MAY_IMPORT = {
    "text": {"text"},
    "codebook": {"codebook", "text"},
    "model": {"model", "text", "codebook"},
    "corpus": {"corpus", "model", "text", "codebook"},
    "study": {"study", "corpus", "model", "text", "codebook"},
    "train": {"train", "model", "text", "codebook"},
    "show": {"show", "study", "corpus", "model", "text", "codebook"},
}
ONLY_IN = {
    "torch": {"train"},
    "transformers": {"train"},
    "datasets": {"train"},
    "onnxruntime": {"model/encoder.py", "train/export.py"},
    "tokenizers": {"model/encoder.py"},
    "ray": {"corpus/on_ray.py"},
    "rensa": {"corpus/dedup.py"},
    "warcio": {"corpus/warc.py"},
    "typer": {"cli"},
    "rich": {"show"},
}


def imports(path):
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: write imports in full"
            yield node.module


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_each_room_stands_only_on_the_floors_under_it(path):
    place = path.relative_to(PACKAGE)
    room = place.parts[0]
    for name in imports(path):
        parts = name.split(".")
        if parts[0] == "framing" and len(parts) > 1 and room in MAY_IMPORT:
            assert parts[1] in MAY_IMPORT[room] | {"version"}, f"{place} imports {name}"
        allowed = ONLY_IN.get(parts[0])
        assert allowed is None or {room, place.as_posix()} & allowed, f"{place} imports {name}"


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_module_stays_under_400_lines(path):
    assert len(path.read_text("utf-8").splitlines()) < 400


def test_import_framing_is_light():
    heavy = "torch transformers datasets onnxruntime tokenizers sklearn pyarrow typer trafilatura"
    code = f"import sys, framing; print(*set({heavy.split()!r}) & set(sys.modules))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == ""


def test_core_code_never_prints_and_never_exits():
    for path in MODULES:
        if path.parent.name == "cli":
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                assert called not in {"print", "exit", "sys.exit", "os._exit"}, f"{path}: {called}"
