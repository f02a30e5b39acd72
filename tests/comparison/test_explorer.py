"""What a page takes along so that the objects of its best run can be looked at."""

import base64
import json
import re
import zlib
from dataclasses import replace

import numpy as np
import pytest
from helpers.explored import HOSTILE, write_explored

from hiexp.comparison import explorer
from hiexp.comparison.explorer import Column, Objects, nearest_rows, packed_numbers, packed_objects, read_objects
from hiexp.comparison.html import LARGEST_PAGE, write_page
from hiexp.comparison.runs import read_sweep
from hiexp.errors import InputError
from hiexp.run.compact import SAMPLES, CompactLines


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    return write_explored(tmp_path_factory.mktemp("runs") / "2026-11-22" / "12-00-00_sweep")


@pytest.fixture(scope="module")
def best(sweep):
    return read_sweep(sweep).ranked().done[0]


def inflated(text):
    return zlib.decompress(base64.b64decode(text))


def numbers(text):
    planes = np.frombuffer(inflated(text), np.uint8).reshape(4, -1)
    return np.ascontiguousarray(planes.T).view("<f4").ravel()


def test_numbers_keep_four_digits_and_gaps():
    values = np.array([0, 1, -1, 1234.5678, 1e-30, -9.87654e20, np.nan, 16_383.9], np.float32)
    found = numbers(packed_numbers(values))
    np.testing.assert_allclose(found, values, rtol=2**-13)
    np.testing.assert_array_equal(numbers(packed_numbers(values, 23)), values)


def test_objects_are_those_predicted_with_all_that_is_known_of_them(best):
    objects = read_objects(best)
    n = len(objects.ids)
    assert HOSTILE in objects.ids
    assert objects.lines.ids.tolist() == objects.ids
    names = {(column.group, column.name): column for column in objects.columns}
    assert names["fit", "w50"].unit == "km/s"
    assert names["catalogue", "Vhel"].unit == "km/s"
    assert ("prediction", "probability_0") in names
    assert not any(name.endswith("_err") for _, name in names)
    assert [column.name for column in objects.columns][:2] == ["w50", "A_flux"]
    assert list(objects.classes) == ["reference", "predicted"]
    assert objects.nearest.shape == (n, 6)
    assert not (objects.nearest == np.arange(n)[:, None]).any()
    assert objects.images.shape == (n, 16, 16, 1)
    assert "32 principal components of the 256 numbers" in objects.alike_in


def test_the_nearest_come_first():
    found = nearest_rows(np.array([[0.0], [1], [3], [7], [15], [31], [63], [127]]))
    assert found[0].tolist() == [1, 2, 3, 4, 5, 6]
    assert nearest_rows(np.array([[0.0], [1], [3]]))[1].tolist() == [0, 2]


def test_what_the_page_has_is_what_was_read_and_no_id_becomes_markup(sweep, best, tmp_path):
    text = write_page(read_sweep(sweep).ranked(), tmp_path / "page.html").read_text()
    assert "<img src=x" not in text
    assert text.count("</script>") == text.count("<script")
    data = json.loads(re.search(r'id="explorer-data">(.*)</script>', text)[1])
    objects = read_objects(best)
    assert json.loads(inflated(data["ids"])) == objects.ids
    for packed, column in zip(data["columns"], objects.columns, strict=False):
        np.testing.assert_allclose(numbers(packed["values"]), column.values, rtol=2**-13)
    n = data["lines"]["n"]
    assert n == len(objects.ids)
    curves = np.frombuffer(inflated(data["lines"]["curves"]), np.uint8).reshape(n, SAMPLES)
    np.testing.assert_array_equal(np.cumsum(curves, axis=1, dtype=np.uint8), objects.lines.curves)
    np.testing.assert_array_equal(numbers(data["lines"]["ends"]), objects.lines.ends.ravel())
    for one, values in zip(data["classes"], objects.classes.values(), strict=True):
        codes = np.frombuffer(inflated(one["codes"]), np.uint8)
        np.testing.assert_array_equal(np.array(one["names"], float)[codes], values)
    nearest = np.frombuffer(inflated(data["nearest"]["rows"]), "<u2").reshape(n, -1)
    np.testing.assert_array_equal(nearest, objects.nearest)
    assert inflated(data["images"]["pixels"]) == objects.images.tobytes()


@pytest.mark.parametrize("missing", ["profiles.parquet", "fits.parquet", "catalogue.csv"])
def test_without_a_file_the_page_says_why_it_has_no_explorer(tmp_path, missing, caplog):
    folder = write_explored(tmp_path / "one_sweep")
    (folder / "0" / missing).unlink()
    text = write_page(read_sweep(folder).ranked(), tmp_path / "page.html").read_text()
    assert "explorer-data" not in text
    assert "Single objects are not shown: run 0: profiles.parquet or another table" in text
    assert not caplog.records


def test_tables_of_other_objects_are_refused(tmp_path):
    folder = write_explored(tmp_path / "one_sweep")
    file = folder / "0" / "profiles.parquet"
    lines = CompactLines.read(file)
    lines.take(np.arange(1, len(lines.ids))).write(file)
    with pytest.raises(InputError, match="not about the objects"):
        read_objects(read_sweep(folder).ranked().done[0])
    (folder / "0" / "features.parquet").unlink()
    lines.write(file)
    objects = read_objects(read_sweep(folder).ranked().done[0])
    assert objects.nearest is None
    assert objects.notes == ["Similar lines are not shown: the run has no features.parquet."]


def made_up(n, n_columns):
    """Return objects of which nothing can be deflated well."""
    random = np.random.default_rng(0)
    codes = random.integers(1, 256, (2, n, SAMPLES), np.uint8)
    smooth = 128 + 100 * np.sin(np.linspace(0, 3, SAMPLES) + random.uniform(0, 3, (n, 1)))
    ends = random.uniform(0, 18_000, (n, 2)).astype(np.float32)
    ids = np.array([f"AGC{number:06d}" for number in random.permutation(10**6)[:n]])
    lines = CompactLines(ids, ends, ends, codes[0], smooth.astype(np.uint8), True)
    columns = [
        Column("fit", f"column {number}", "km/s", random.lognormal(size=n).astype(np.float32))
        for number in range(n_columns)
    ]
    classes = {"predicted": random.integers(0, 4, n).astype(float)}
    nearest = random.integers(0, n, (n, 6))
    return Objects("0", ids.tolist(), classes, columns, lines, nearest, "numbers")


@pytest.mark.slow
def test_the_page_of_31502_objects_is_below_8_mb(sweep, tmp_path, monkeypatch):
    monkeypatch.setattr(explorer, "read_objects", lambda run: made_up(31_502, 90))
    text = write_page(read_sweep(sweep).ranked(), tmp_path / "page.html").read_text()
    assert len(text.encode()) < LARGEST_PAGE == 8_000_000
    assert "Of 90 columns the page has" in text
    data = json.loads(re.search(r'id="explorer-data">(.*)</script>', text)[1])
    assert data["lines"]["n"] == 31_502
    assert len(data["columns"]) > 10

    # Beside pictures of many runs there is less room.
    data, notes = packed_objects(made_up(31_502, 90), 3_000_000)
    assert len(json.dumps(data)) < 3_000_000
    n_lines = data["lines"]["n"]
    assert 3_000 < n_lines < 31_502
    assert notes[-1] == f"The page has room for the lines of {n_lines} of 31502 objects, those held out first."


def test_what_there_is_no_room_for_is_left_out_and_said(best, monkeypatch):
    monkeypatch.setattr(explorer, "SHARE", 1)
    objects = read_objects(best)
    whole, notes = packed_objects(objects, 10**7)
    assert notes == []
    size, images = len(json.dumps(whole)), len(json.dumps(whole["images"]))
    data, notes = packed_objects(objects, size - images)
    assert "images" not in data
    assert notes[-1] == "The page has no room for the images that the feature makes of the lines."
    data, notes = packed_objects(replace(objects, images=None), size - images - 1500)
    assert 0 < data["lines"]["n"] < len(objects.ids)
    assert any("has room for the lines of" in note for note in notes)
    with pytest.raises(InputError, match="no room"):
        packed_objects(objects, 100)
