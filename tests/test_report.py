"""The page of a sweep: every job, its numbers and its pictures, and nothing that has to be fetched."""

import base64
import re
from io import BytesIO

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from hiexp.report import write_page


@pytest.fixture
def sweep(tmp_path):
    for job in ("0", "1"):
        (tmp_path / job / "plots").mkdir(parents=True)
        Image.new("RGB", (4, 3), (99 * int(job), 0, 0)).save(tmp_path / job / "plots" / "parameters_by_class.png")
    ranking = pd.DataFrame(
        {
            "job": ["1", "0"],
            "settings": ["clusterer=kmeans", "clusterer=<dbscan>"],
            "cluster_n_groups": [3, 5],
            "agreement": [0.9312, np.nan],
            "epsilon2_W50": [0.61, 0.25],
            "epsilon2_Dist": [0.04, np.nan],
        }
    )
    return ranking, tmp_path


def test_every_job_has_its_row_and_its_picture(sweep):
    ranking, folder = sweep
    page = write_page(ranking, [("2", "clusterer=meanshift", "no groups")], folder, "python -m hiexp.train -m a=b")
    text = page.read_text()
    rows = re.findall(r"<tr>(<td>.*?)</tr>", text, re.DOTALL)
    cells = [re.sub(r"<[^>]*>|\s", " ", row).split() for row in rows]
    assert cells == [["clusterer=kmeans", "3", "0.931", "0.61", "0.04"], ["clusterer=&lt;dbscan&gt;", "5", "0.25"]]
    assert text.index("clusterer=kmeans") < text.index("clusterer=&lt;dbscan&gt;")
    for said in ("python -m hiexp.train -m a=b", "clusterer=meanshift: no groups", "<th>W50</th><th>Dist</th>"):
        assert said in text
    codes = re.findall(r'src="data:image/png;base64,([^"]*)"', text)
    pictures = [Image.open(BytesIO(base64.b64decode(code))).convert("RGB") for code in codes]
    assert [(picture.size, picture.getpixel((0, 0))) for picture in pictures] == [
        ((4, 3), (99, 0, 0)),
        ((4, 3), (0, 0, 0)),
    ]


def test_the_page_needs_nothing_else(sweep):
    ranking, folder = sweep
    text = write_page(ranking, [], folder, "command").read_text()
    assert not re.findall(r'(?:src|href)="(?!data:|#)', text)
    assert "http" not in text
