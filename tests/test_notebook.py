"""The notebooks run from their first cells to their last, and those in the documentation have been run."""

import os
import re
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

DOCS = Path(__file__).parents[1] / "docs"
PICTURES = {"example": 3, "tutorials/own_spectra": 2, "tutorials/another_survey": 2, "tutorials/grid": 1}
each_notebook = pytest.mark.parametrize("name", PICTURES)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def kinds(notebook):
    """What each cell of code shows: names of streams, kinds of results."""
    return [sorted({one.get("name", one.output_type) for one in cell.outputs}) for cell in code_cells(notebook)]


@pytest.mark.slow
@each_notebook
def test_every_cell_runs_and_shows_what_the_documentation_shows(name, tmp_path, monkeypatch):
    # The notebook types `python`, as in an environment that is activated.
    monkeypatch.setenv("PATH", os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    for variable in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR"):  # none of them at home
        monkeypatch.setenv(variable, str(tmp_path / variable))
    kept = nbformat.read(DOCS / f"{name}.ipynb", as_version=4)
    notebook = nbformat.read(DOCS / f"{name}.ipynb", as_version=4)
    NotebookClient(notebook, timeout=240, kernel_name="python3").execute(cwd=str(tmp_path))
    assert kinds(notebook) == kinds(kept)


@each_notebook
def test_its_outputs_are_whole_and_of_no_machine(name):
    file = DOCS / f"{name}.ipynb"
    notebook = nbformat.read(file, as_version=4)
    nbformat.validate(notebook)
    cells = code_cells(notebook)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [one for cell in cells for one in cell.outputs]
    assert not {one.get("name", one.output_type) for one in outputs} & {"stderr", "error"}
    assert sum("image/png" in one.get("data", {}) for one in outputs) == PICTURES[name]
    texts = [one.get("text", "") for one in outputs]
    texts += [text for one in outputs for form, text in one.get("data", {}).items() if form.startswith("text/")]
    assert not [text for text in texts if re.search(r"(?<![\w.])/(?:home|root|tmp|usr|work)\b", text)]
    assert file.stat().st_size < 2**19
