"""What a paper needs of the pictures: units, names as the field writes them, marks beside colours, PDF."""

import logging
from dataclasses import replace

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from helpers.commands import train
from matplotlib.patches import StepPatch

from hiexp.comparison.png import draw_learning_curve, draw_scores
from hiexp.comparison.runs import Comparison, Run
from hiexp.datasets import mock_cig
from hiexp.fitting import fit_none
from hiexp.fitting.measurements import DATA_MEASUREMENTS, MEASUREMENTS
from hiexp.plots import (
    plot_classes,
    plot_confusion,
    plot_fits,
    plot_parameters_by_class,
    plot_saliency,
    plot_shapelets,
    plot_training,
    with_pdf,
)
from hiexp.plots.labels import COLUMNS

pytestmark = pytest.mark.filterwarnings("error")

HISTORY = {"train_loss": [3.0, 2.0, 1.5], "validation_loss": [3.0, 2.5, 2.6]}
RNG = np.random.default_rng(0)
PROFILES, CLASSES = RNG.normal(size=(20, 60)).cumsum(axis=1), np.arange(20) % 2
NO_STRENGTH = pd.DataFrame(columns=["epsilon2"])


def labels(figure):
    """What stands below and beside a figure and its panels."""
    words = [text.get_text() for text in figure.texts]
    return {*words, *(panel.get_xlabel() for panel in figure.axes), *(panel.get_ylabel() for panel in figure.axes)}


def test_a_pdf_stands_beside_each_png_with_its_fonts_as_truetype(tmp_path):
    plot_training(HISTORY, tmp_path / "none.png")
    with with_pdf():
        plot_training(HISTORY, tmp_path / "training.png")
        plot_training(HISTORY, tmp_path / "again.png")
        with with_pdf(False):
            plot_training(HISTORY, tmp_path / "inner.png")
    assert {file.name for file in tmp_path.glob("*.pdf")} == {"training.pdf", "again.pdf"}
    content = (tmp_path / "training.pdf").read_bytes()
    assert content.startswith(b"%PDF")
    assert b"/FontFile2" in content
    assert b"/Type3" not in content
    assert b"CreationDate" not in content
    assert content == (tmp_path / "again.pdf").read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize(("words", "n_pdf"), [([], 4), (["pdf=false"], 0), (["-m"], 0), (["-m", "pdf=true"], 4)])
def test_runs_alone_have_pdfs_and_jobs_of_a_sweep_where_they_are_asked_for(tmp_path, words, n_pdf):
    settings = ["dataset.n_galaxies=40", "fit=none", "feature=raw", "classifier=knn", "tracking=none"]
    result = train(*words, *settings, "evaluation.permutations=20", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    (folder,) = tmp_path.glob("runs/**/plots")
    drawn = {file.stem for file in folder.glob("*.png")}
    assert len({file.stem for file in folder.glob("*.pdf")} & drawn) == (len(drawn) if n_pdf else 0)
    assert len(drawn) >= 4
    if "-m" in words:
        assert len(list(tmp_path.glob("runs/*/*/sweep.pdf"))) == 1


@pytest.mark.parametrize(
    ("name", "unit"), [(name, row.unit) for name, row in (MEASUREMENTS | DATA_MEASUREMENTS).items()]
)
def test_labels_have_the_units_of_the_measurements(name, unit):
    assert name not in COLUMNS or COLUMNS[name][1] == unit.replace(" / ", "/")
    assert name in COLUMNS or not (MEASUREMENTS | DATA_MEASUREMENTS)[name].drawn


def test_columns_are_called_what_the_field_calls_them_and_others_are_no_mathtext(drawn):
    known = pd.DataFrame({name: np.arange(20.0) for name in ("logMHI", "W50", "Dist", "$x_{y}$")})
    plot_parameters_by_class(known, CLASSES, NO_STRENGTH, "unused")
    found = {panel.get_xlabel(): panel.xaxis.label.get_parse_math() for panel in drawn[0].axes}
    assert found == {
        r"$\log(M_{\mathrm{HI}}/M_\odot)$": True,
        "$W_{50}$ (km/s)": True,
        "distance (Mpc)": True,
        "$x_{y}$": False,
    }


@pytest.mark.parametrize("frame", ["heliocentric", "LSRK"])
def test_velocities_say_their_frame_and_convention(drawn, frame):
    spectra = mock_cig(n_galaxies=3)
    plot_fits(replace(spectra, frame=frame), fit_none(spectra), "unused")
    assert drawn[0].get_supxlabel() == f"{frame} velocity, optical (km/s)"
    assert "flux density (mJy)" in labels(drawn[0])


def test_profiles_of_equal_windows_are_drawn_in_km_s(drawn):
    plot_classes(PROFILES, CLASSES, "unused", windows=np.tile([1000.0, 1600.0], (20, 1)))
    assert drawn[0].get_supxlabel() == "velocity from the window's centre (km/s)"
    assert drawn[0].axes[0].lines[0].get_xdata()[[0, -1]].tolist() == [-300, 300]


def test_profiles_of_other_windows_are_drawn_in_half_windows_whose_median_is_told(drawn):
    plot_classes(PROFILES, CLASSES, "unused", windows=np.column_stack([np.zeros(20), np.arange(1.0, 21)]))
    assert drawn[0].get_supxlabel().endswith("/ half window")
    assert [panel.texts[0].get_text() for panel in drawn[0].axes] == ["half window 5 km/s", "half window 6 km/s"]


def test_saliency_of_profiles_is_drawn_in_km_s_and_told_in_grey(drawn):
    windows, values = np.tile([1000.0, 1600.0], (4, 1)), PROFILES[:4]
    plot_saliency(values, values, values, CLASSES[:4], ["A"] * 4, "unused", windows=windows)
    assert drawn[0].get_supxlabel() == "velocity from the window's centre (km/s)"
    panel = drawn[0].axes[0]
    assert panel.lines[0].get_xdata()[[0, -1]].tolist() == [-300, 300]
    (area,) = [
        shown for shown in panel.collections if len(shown.get_paths()) == 1 and shown.get_paths()[0].codes is not None
    ]
    line = panel.lines[1].get_ydata()[0]
    assert area.get_paths()[0].vertices[:, 1].max() <= values[0].min()
    assert np.ptp(area.get_paths()[0].vertices[:, 1]) > 0
    assert line < values[0].min()


def test_saliency_of_images_is_outlined_for_and_against(drawn):
    images = np.zeros((1, 1, 20, 20))
    images[0, 0, 4:8, 4:8], images[0, 0, 12:16, 12:16] = 1, -1
    plot_saliency(PROFILES[:1], images, images, CLASSES[:1], ["A"], "unused")
    styles = [shown.get_linestyle()[0] for shown in drawn[0].axes[0].collections]
    assert len(styles) == 2
    assert [dashes is not None for _, dashes in styles] == [False, True]


def test_shapelets_are_drawn_in_km_s(drawn):
    class Model:
        scale, shapelets_ = True, [np.arange(7.0), np.arange(13.0)]

        def transform(self, profiles):
            return RNG.random((len(profiles), 2))

        def locate(self, profiles):
            return np.full((len(profiles), 2), 10)

    plot_shapelets(PROFILES, CLASSES, Model(), "unused", windows=np.tile([1000.0, 1590.0], (20, 1)))
    assert drawn[0].get_supxlabel() == "velocity from the window's centre (km/s)"
    lengths = {panel.get_title().partition(",")[0]: np.ptp(panel.lines[1].get_xdata()) for panel in drawn[0].axes}
    assert lengths == pytest.approx({"60 km/s": 60, "120 km/s": 120})


def test_classes_are_told_apart_without_colour(drawn):
    plot_parameters_by_class(pd.DataFrame({"W50": RNG.random(240)}), np.arange(240) % 12, NO_STRENGTH, "unused")
    steps = [patch for patch in drawn[0].axes[0].patches if isinstance(patch, StepPatch)]
    assert len({(str(step.get_linestyle()), step.get_linewidth()) for step in steps}) == 12


def test_training_and_validation_differ_by_dashes_and_marks(drawn):
    plot_training(HISTORY, "unused")
    train_line, validation = drawn[0].axes[0].lines
    assert train_line.get_linestyle() != validation.get_linestyle()
    assert train_line.get_marker() != validation.get_marker()


def runs(settings, sizes):
    """A comparison of runs whose scores have intervals."""
    found = []
    for place, (words, size) in enumerate(zip(settings, sizes, strict=True)):
        numbers = {"n_training": size, "n_predicted_classes": 3}
        for name in ("success_rate", "balanced_accuracy"):
            score = 0.4 + 0.001 * size
            numbers |= {name: score, f"low_{name}": score - 0.1, f"high_{name}": score + 0.05}
            numbers |= {f"chance_{name}": 0.3, f"chance95_{name}": 0.35}
        found.append(Run(str(place), words, numbers, "", "done", "", "", lambda _: None))
    return Comparison("sweep", "", tuple(found), None).ranked("success_rate")


def test_learning_curves_have_error_bars_and_marks(drawn):
    grid = [(kind, share) for kind in ("knn", "svm") for share in (0.2, 0.5, 0.8)]
    settings = [{"classifier": kind, "test_size": str(share)} for kind, share in grid]
    draw_learning_curve(runs(settings, [round(100 * (1 - share)) for _, share in grid]), "unused")
    for axes in drawn[0].axes:
        assert len(axes.containers) == 2
        for container in axes.containers:
            (bars,) = container.lines[2]
            heights = [np.ptp(ends[:, 1]) for ends in bars.get_segments()]
            assert heights == pytest.approx([0.15] * 3)
        marks = {line.get_marker() for line in axes.lines if line.get_label().startswith("classifier")}
        assert len(marks) == 2


def test_bars_of_a_sweep_are_hatched_by_their_setting(drawn):
    settings = [{"classifier": kind, "seed": str(seed)} for kind in ("knn", "svm", "cnn") for seed in (0, 1)]
    draw_scores(runs(settings, [10, 20, 30, 40, 50, 60]), "unused")
    bars = [bar for bar in drawn[0].axes[0].patches if np.isfinite(bar.get_width())]
    assert len({bar.get_hatch() for bar in bars}) == 3


def test_one_style_for_all(drawn):
    plot_training(HISTORY, "unused")
    family = drawn[0].axes[0].yaxis.label.get_fontfamily()
    assert family[0] == "STIXGeneral"
    assert drawn[0].get_figwidth() == pytest.approx(3.4, abs=0.01)
    assert min(text.get_fontsize() for text in drawn[0].findobj(mpl.text.Text) if text.get_text()) >= 6


def test_what_embeds_fonts_is_silent(tmp_path, caplog):
    with caplog.at_level(logging.DEBUG), with_pdf():
        plot_confusion(np.eye(2, dtype=int), np.arange(2), "reference", tmp_path / "confusion.png")
    assert (tmp_path / "confusion.pdf").exists()
    assert "fontTools" not in {record.name.partition(".")[0] for record in caplog.records}
