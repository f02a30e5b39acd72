"""CSV that a spreadsheet shows and does not run, and that is read back as what was written."""

import csv
import io

import numpy as np
import pandas as pd
import pytest
from helpers.commands import command, only_run
from hypothesis import given
from hypothesis import strategies as st

from hiexp.csv_tables import csv_text, escaped, unescaped, write_csv
from hiexp.writing import write_whole

FORMULAS = ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1"]
BEGINNINGS = st.sampled_from(["", "'", "''", "=", "'=", "-", "+", "@", "\t", "-1", "'-1"])


@pytest.mark.parametrize("text", FORMULAS)
def test_a_formula_is_written_as_text(text):
    assert escaped(text) == f"'{text}"


@pytest.mark.parametrize("cell", ["-5", "+3.2e-4", "-inf", "-.5", -5, -0.25, None, "A=B", "'quoted'", ""])
def test_numbers_and_other_texts_stay(cell):
    assert escaped(cell) == cell


@given(BEGINNINGS, st.text(max_size=5))
def test_what_is_read_back_is_what_was_written(beginning, rest):
    text = beginning + rest
    written = escaped(text)
    assert unescaped(written) == text
    assert not str(written).startswith(("=", "@")), "begins like a formula"


@given(st.lists(st.tuples(BEGINNINGS, st.text(st.characters(codec="utf-8", exclude_characters="\r\n")), st.floats())))
def test_rows_are_read_back_by_any_reader(rows):
    rows = [(beginning + text, number) for beginning, text, number in rows]
    found = list(csv.reader(io.StringIO(csv_text(rows))))
    assert [(unescaped(text), float(number)) for text, number in found] == [
        (text, pytest.approx(number, nan_ok=True)) for text, number in rows
    ]


def test_a_table_without_formulas_is_written_as_pandas_writes_it(tmp_path):
    frame = pd.DataFrame(
        {
            "id": ["A1", "a,b", 'say "x"', None],
            "x": [-1.5, np.nan, 1e-300, 3],
            "n": pd.array([1, None, -3, 4], "Int64"),
            "kind": pd.Categorical(["b", "a", "b", "a"]),
            "good": [True, False, True, True],
        }
    )
    for index in (False, True):
        write_csv(frame, tmp_path / "a.csv", index=index)
        assert (tmp_path / "a.csv").read_text() == frame.to_csv(index=index)
    wide = pd.DataFrame([[0.1, 0.2]], columns=pd.MultiIndex.from_product([["score"], ["a", "b"]], names=["s", "v"]))
    wide.index = pd.Index(["seed=0"], name="settings")
    write_csv(wide, tmp_path / "a.csv", index=True)
    assert (tmp_path / "a.csv").read_text() == wide.to_csv()


def test_texts_column_names_and_the_index_are_escaped_and_numbers_are_not(tmp_path):
    frame = pd.DataFrame(
        {"=name": ["=1+1", "plain"], "x": [-1.0, -2.0], "kind": pd.Categorical(["@a", "b"])},
        index=pd.Index(["-id", "-7"], name="+index"),
    )
    write_csv(frame, tmp_path / "a.csv", index=True)
    assert list(csv.reader(io.StringIO((tmp_path / "a.csv").read_text()))) == [
        ["'+index", "'=name", "x", "kind"],
        ["'-id", "'=1+1", "-1.0", "'@a"],
        ["-7", "plain", "-2.0", "b"],
    ]
    assert [file.name for file in tmp_path.iterdir()] == ["a.csv"], "nothing is left of the writing"


def test_names_that_are_no_utf8_can_be_written(tmp_path):
    name = b"Gr\xf6\xdfe".decode("utf-8", "surrogateescape")
    write_whole(tmp_path / "a.csv", csv_text([["name"], [name]]))
    assert r"Gr\udcf6\udcdfe" in (tmp_path / "a.csv").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_tables_of_a_run_hold_no_formulas(tmp_path):
    """Names of objects, parameters and classes of a sample that somebody else has made."""
    rng = np.random.default_rng(0)
    velocity = np.arange(0, 600, 5.0)
    lines = np.exp(-(((velocity - 300) / 60) ** 2) / 2) * 40 + rng.normal(0, 1, (40, velocity.size))
    ids = np.array([f"=HYPERLINK({number})" for number in range(40)])
    np.savez(tmp_path / "s.npz", X=lines, velocity=velocity, ids=ids, y=np.arange(40) % 2)
    result = command(
        "hiexp.train",
        *("dataset=arrays", "dataset.path=s.npz", "n_classes=2", "fit=none", "feature=raw", "classifier=knn"),
        *("evaluation.permutations=20", "tracking=none"),
        cwd=tmp_path,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    tables = sorted(only_run(tmp_path).glob("*.csv"))
    assert {"predictions.csv", "catalogue.csv"} <= {file.name for file in tables}
    for file in tables:
        with file.open(newline="") as handle:
            cells = [cell for row in csv.reader(handle) for cell in row]
        assert not [cell for cell in cells if cell.startswith(("=", "+", "@"))]
    with (only_run(tmp_path) / "predictions.csv").open(newline="") as handle:
        assert {unescaped(row["id"]) for row in csv.DictReader(handle)} == set(ids)
