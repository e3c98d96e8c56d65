"""The README's examples run, and what it promises about files is there."""

import json
import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from framing.cli import app

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")
PYTHON = re.findall(r"```python\n(.*?)```", README, re.S)
CONSOLE = re.findall(r"^\$ framing (.*)$", README, re.M)


@pytest.mark.parametrize("code", PYTHON, ids=range(len(PYTHON)))
def test_python_example_runs(code, capsys):
    exec(compile(code, "README.md", "exec"), {})
    assert capsys.readouterr().out


@pytest.mark.parametrize("line", CONSOLE)
def test_command_runs(line):
    result = CliRunner().invoke(app, shlex.split(line))
    assert result.exit_code == 0, result.output
    assert result.output


def test_figures_are_the_recorded_ones():
    recorded = json.loads((ROOT / "models" / "core-en" / "metrics.json").read_text())
    for evaluation in recorded["evaluations"]:
        mean = evaluation["slices"][0]["all"]["mean"]
        row = (
            f"| {mean['f1']['value']:.2f} | {mean['average_precision']['value']:.2f} "
            f"| {mean['calibration_error']['value']:.3f} |"
        ).replace("0.", ".")
        assert row in README
    labels = recorded["evaluations"][0]["slices"][0]["all"]["labels"]
    for told, label in ((".43", "sensationalism"), (".55", "speculation")):
        assert f"{labels[label]['f1']['value']:.2f}".lstrip("0") == told


def test_linked_files_exist():
    for target in re.findall(r"\]\(((?!http)[^)#]+)\)", README):
        assert (ROOT / target).exists(), target


def test_every_command_named_in_the_readme_exists():
    named = set(re.findall(r"^(?:\$ )?framing (\w+)", README, re.M))
    known = {c.name or c.callback.__name__ for c in app.registered_commands}
    known |= {g.name for g in app.registered_groups}
    assert named <= known


def test_the_readme_lists_the_codebook_s_labels():
    from framing import Codebook

    for label in Codebook.load("core").names:
        assert label in README
