"""The page of a comparison: every run, its numbers and its pictures, and nothing that has to be fetched."""

import base64
import json
import re
from html.parser import HTMLParser
from io import BytesIO

import numpy as np
import pandas as pd
import pytest
from helpers.sweeps import GRID, HEAD, verdict, write_sweep
from PIL import Image

from hiexp.comparison import html
from hiexp.comparison.html import confusion, heat_map, write_page
from hiexp.comparison.runs import read_sweep
from hiexp.comparison.svg import nice_ticks

SMALL = {"model": ["simple", "medium"], "epochs": [50, 80]}
EMPTY = {"meta", "img", "br"}


class Balanced(HTMLParser):
    """Fails on an element that is not closed, or closed twice."""

    def __init__(self):
        super().__init__()
        self.open = []

    def handle_starttag(self, tag, attrs):
        if tag not in EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def page_of(comparison, folder):
    text = write_page(comparison, folder / "page.html").read_text()
    parser = Balanced()
    parser.feed(text)
    assert parser.open == []
    return text


def text_of(html):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", html)).strip()


def rows_of(text):
    return [text_of(row) for row in re.findall(r'<tr class="run">(.*?)</tr>', text, re.DOTALL)]


def test_every_run_has_its_row_command_matrix_and_picture(tmp_path):
    sweep = write_sweep(tmp_path / "a_sweep", SMALL)
    (sweep / "sweep.json").write_text(json.dumps(verdict(["0", "1", "2", "3"])))
    text = page_of(read_sweep(sweep).ranked(), tmp_path)
    assert rows_of(text)[0] == "0 ≈ 0.700 [0.600, 0.780] simple 50 0.350 0.450 0.001 0.700 0.700 0.500 0.50 700"
    assert [row.split()[0] for row in rows_of(text)] == ["0", "1", "2", "3"]
    assert ["≈" in row for row in rows_of(text)] == [True, True, True, False]
    for model, epochs in (("simple", 50), ("medium", 80)):
        assert f"<code>{HEAD} model={model} epochs={epochs}</code>" in text
    assert f"<code>{HEAD} -m model=simple,medium epochs=50,80</code>" in text
    said = text_of(text)
    for words in (
        "best of 4 by chance 0.520 95th percentile 0.580",
        "family-wise p 0.031",
        "corrected for selection bias 0.620",
    ):
        assert words in said
    assert text.count('class="band"') == 1
    codes = re.findall(r'src="data:image/png;base64,([^"]*)"', text)
    pictures = [Image.open(BytesIO(base64.b64decode(code))).convert("RGB") for code in codes]
    assert [picture.size for picture in pictures] == [(60, 40)] * 4
    assert [picture.getpixel((0, 0))[0] for picture in pictures] == pytest.approx([0, 4, 8, 12], abs=4)


def test_the_page_needs_nothing_else(tmp_path):
    text = page_of(read_sweep(write_sweep(tmp_path / "a_sweep", SMALL)).ranked(), tmp_path)
    assert not re.findall(r'(?:src|href)="(?!data:|#)', text)
    assert not re.findall(r"https?:|@import|url\(", text)


def test_words_of_the_user_are_text(tmp_path):
    sweep = write_sweep(tmp_path / "a_sweep", {"model": ["<b>bold</b>", 'a"b'], "epochs": [50, 80]})
    (sweep / "3" / "metrics.json").unlink()
    (sweep / "3" / "error.txt").write_text("<script>alert(1)</script>\n\nTraceback")
    text = page_of(read_sweep(sweep).ranked(), tmp_path)
    assert "<b>" not in text
    assert text.count("<script>") == 1
    assert "&lt;script&gt;alert(1)" in text


def test_without_verdict_there_is_the_chance_of_the_run(tmp_path):
    text = page_of(read_sweep(write_sweep(tmp_path / "a_sweep", SMALL)).ranked("balanced_accuracy"), tmp_path)
    assert "that run by chance 0.350 95th percentile 0.450, p = 0.001" in text_of(text)
    assert 'class="band"' not in text


def test_pictures_stop_where_the_page_would_be_too_large(tmp_path, monkeypatch):
    comparison = read_sweep(write_sweep(tmp_path / "a_sweep", SMALL)).ranked()
    monkeypatch.setattr(html, "BUDGET", 1)
    text = page_of(comparison, tmp_path)
    assert text.count("data:image/png") == 1
    assert "The pictures of the best 1 runs are in this page, those of the other 3 in their folders" in text_of(text)


def test_runs_without_scores_still_have_a_page(tmp_path):
    sweep = write_sweep(tmp_path / "a_sweep", SMALL)
    for number in range(4):
        (sweep / str(number) / "metrics.json").write_text(
            json.dumps({"cluster_n_groups": number, "epsilon2_W50": 0.7})
        )
        (sweep / str(number) / "predictions.csv").unlink()
    text = page_of(read_sweep(sweep).ranked(), tmp_path)
    assert len(rows_of(text)) == 4
    assert "ε² of the classes by" in text
    for number in range(4):
        (sweep / str(number) / "metrics.json").unlink()
    assert "Failed or not finished" in page_of(read_sweep(sweep).ranked(), tmp_path)


def test_the_confusion_matrix_is_of_the_objects_held_out(tmp_path):
    sweep = write_sweep(tmp_path / "a_sweep", SMALL)
    grid = confusion(read_sweep(sweep).runs[0])
    table = pd.read_csv(sweep / "0" / "predictions.csv").query("split == 'test'")
    expected = np.zeros((3, 3), int)
    np.add.at(expected, (table["reference"], table["predicted"]), 1)
    assert [[int(cell.text) for cell in cells[:3]] for _, cells in grid.rows[:3]] == expected.tolist()
    assert [cells[3].text for _, cells in grid.rows[:3]] == ["0.67", "0.67", "0.50"]  # recall
    assert [cell.text for cell in grid.rows[3][1]] == ["0.67", "0.67", "0.50", ""]  # precision


def test_the_heat_map_has_every_score_in_its_place(tmp_path):
    comparison = read_sweep(write_sweep(tmp_path / "a_sweep", GRID)).ranked()
    grid = heat_map(comparison)
    assert [name for name, _ in grid.columns] + grid.corner == ["test_size", "epochs", "model", "random_state"]
    scores = {
        tuple(
            run.settings[key] for key in ("model", "random_state", "test_size", "epochs")
        ): f"{run.metrics['success_rate']:.3f}"
        for run in comparison.runs
    }
    down = [(model, state) for model in ("complex", "medium", "simple") for state in ("42", "99")]
    across = [(size, epochs) for size in ("0.3", "0.5", "0.7") for epochs in ("50", "80", "120")]
    assert [[cell.text for cell in cells] for _, cells in grid.rows] == [
        [scores[row + column] for column in across] for row in down
    ]
    assert [heads for heads, _ in grid.rows][:2] == [[("complex", 2), ("42", 1)], [("99", 1)]]
    assert [cell.style for _, cells in grid.rows for cell in cells].count("best") == 1
    assert "<polyline" not in page_of(comparison, tmp_path)


def test_the_lowest_loss_has_the_frame(tmp_path):
    comparison = read_sweep(write_sweep(tmp_path / "a_sweep", SMALL)).ranked("log_loss")
    cells = [cell for _, cells in heat_map(comparison).rows for cell in cells]
    assert [cell.text for cell in cells if cell.style == "best"] == ["0.500"]
    assert [cell.text for cell in sorted(cells, key=lambda cell: -cell.shade)] == ["0.500", "0.510", "0.520", "0.530"]
    assert comparison.axes == ["model", "epochs"]


def test_settings_drawn_at_random_are_lines(tmp_path):
    sweep = write_sweep(
        tmp_path / "a_sweep", {"lr": [1e-4, 3e-3, 1e-1], "epochs": [50, 80, 120], "size": [1, 2, 3, 4]}
    )
    keep = {"0", "7", "14", "18", "23", "27", "33"}
    comparison = read_sweep(sweep)
    comparison = type(comparison)("some", "", tuple(run for run in comparison.runs if run.name in keep)).ranked()
    assert heat_map(comparison) is None
    assert page_of(comparison, tmp_path).count("<polyline") == len(keep)


@pytest.mark.parametrize(("low", "high"), [(0.31, 0.94), (0, 1e-9), (-5, 7000), (0.5, 0.5)])
def test_ticks_are_few_and_between_the_ends(low, high):
    ticks = nice_ticks(low, high)
    assert 1 <= len(ticks) <= 8
    if high > low:
        assert len(ticks) >= 3
        assert min(ticks) >= low - 1e-12
        assert max(ticks) <= high * (1 + 1e-12)
