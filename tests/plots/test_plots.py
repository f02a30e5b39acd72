"""The pictures of a run: what is drawn, and that odd samples and names are drawn legibly and without a warning."""

from dataclasses import replace
from functools import partial

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from helpers.pictures import ODD_NAMES, assert_legible
from matplotlib import pyplot as plt
from matplotlib.patches import StepPatch
from PIL import Image

from hiexp.datasets import mock_cig
from hiexp.evaluation.dependence import dependence
from hiexp.features import DiscImage
from hiexp.fitting import FitResult, fit_none, fit_whole
from hiexp.plots import (
    plot_classes,
    plot_confusion,
    plot_fits,
    plot_images,
    plot_parameters,
    plot_parameters_by_class,
    plot_saliency,
    plot_training,
)

pytestmark = pytest.mark.filterwarnings("error")


@pytest.fixture(scope="module")
def spectra():
    return mock_cig(n_galaxies=12)


def fit_model(spectra):
    """A Gaussian for every line, put where the line is and not fitted, so that no fit decides what is tested."""
    table = fit_none(spectra).table.copy()
    centre, sigma, peak = (table[name].to_numpy()[:, None] for name in ("position", "w50", "flux_peak"))
    sigma = sigma / np.sqrt(8 * np.log(2))
    windows = centre + 400 * np.array([-1.0, 1.0])
    axis = np.linspace(windows[:, 0], windows[:, 1], 256, axis=1)
    table = table.assign(centre=centre[:, 0], sigma=sigma[:, 0], chi2_dof=np.arange(1.0, len(table) + 1))
    profiles = peak * np.exp(-0.5 * ((axis - centre) / sigma) ** 2)
    return FitResult(table, profiles, windows, {"centre": "km / s", "sigma": "km / s"})


def bars(panel):
    """The heights of a histogram."""
    (steps,) = [patch for patch in panel.patches if isinstance(patch, StepPatch)]
    heights, _, _ = steps.get_data()
    return heights


def damaged(spectra, n_bad):
    """The same spectra with nothing to find in the first ones."""
    flux = spectra.flux.copy()
    flux[:n_bad] = -1.0
    return replace(spectra, flux=flux)


@pytest.mark.slow
@pytest.mark.parametrize("fit", [fit_model, fit_none])
@pytest.mark.parametrize(("n", "n_bad"), [(12, 0), (12, 5), (3, 0), (1, 0)])
def test_pictures_are_written(tmp_path, spectra, fit, n, n_bad):
    sample = damaged(spectra.take(slice(0, n)), n_bad)
    result = fit(sample)
    assert result.good.sum() == n - n_bad
    plot_fits(sample, result, tmp_path / "fits.png")
    plot_parameters(result, tmp_path / "parameters.png")
    for name in ("fits", "parameters"):
        with Image.open(tmp_path / f"{name}.png") as image:
            assert 1400 < image.width < 1500
            assert np.ptp(np.asarray(image.convert("L"))) == 255


def test_no_picture_where_there_is_nothing_to_draw(tmp_path, spectra):
    bad = damaged(spectra, 12)
    plot_fits(bad, fit_none(bad), tmp_path / "fits.png")
    plot_parameters(fit_none(bad), tmp_path / "parameters.png")
    plot_fits(spectra, fit_whole(spectra), tmp_path / "fits.png")
    assert not list(tmp_path.iterdir())


def test_series_without_lines_have_their_two_histograms(spectra, drawn):
    plot_parameters(fit_whole(spectra), "unused")
    assert [panel.get_xlabel() for panel in drawn[0].axes] == ["peak flux density (mJy)", "integrated flux (Jy km/s)"]


def test_the_page_goes_from_the_best_to_the_worst(spectra, drawn):
    fit = fit_model(spectra)
    fit.table["chi2_dof"] = [5, 3, 1, 2, 4, 6, 8, 7, 9, 12, 11, np.nan]
    fit.table["status"] = ["ok"] * 9 + ["lost", "ok", "ok"]
    plot_fits(spectra, fit, "unused")
    titles = [panel.get_title().partition("\n")[0] for panel in drawn[0].axes]
    # Ten fits remain; the residual panels have no title.
    assert [title for title in titles if title] == [
        *(spectra.ids[[2, 3, 1]]),
        *(spectra.ids[[4, 0, 5]]),
        *(spectra.ids[[6, 8, 10]]),
    ]


def test_without_a_model_the_strongest_lines_come_first(spectra, drawn):
    fit = fit_none(spectra)
    plot_fits(spectra, fit, "unused")
    assert len(drawn[0].axes) == 9
    assert drawn[0].axes[0].get_title().startswith(fit.table["snr"].idxmax())
    assert drawn[0].get_suptitle() == "12 lines, ranked by S/N"


@pytest.mark.parametrize("fit", [fit_model, fit_none])
def test_the_widths_drawn_are_those_of_the_table(spectra, fit, drawn):
    result = fit(spectra.take(slice(0, 1)))
    plot_fits(spectra.take(slice(0, 1)), result, "unused")
    (line,) = [line for line in drawn[0].axes[0].lines if line.get_label() == "$W_{50}$"]
    assert np.ptp(line.get_xdata()) == pytest.approx(result.table["w50"].iloc[0], rel=0.01)


def test_masked_channels_are_left_out(spectra, drawn):
    fit = fit_model(spectra)
    valid = spectra.valid.copy()
    middle = np.abs(spectra.velocity - fit.table["position"].to_numpy()[:, None]).argmin(axis=1)
    valid[np.arange(12), middle] = False
    plot_fits(replace(spectra, valid=valid), fit, "unused")
    upper, lower = (panel.lines[0] for panel in drawn[0].axes[:2])
    assert np.isnan(upper.get_ydata()).sum() == 1
    assert np.isnan(lower.get_ydata()).sum() == 1


def test_residuals_are_in_units_of_the_noise(spectra, drawn):
    one = spectra.take(slice(0, 1))
    fit = fit_model(one)
    plot_fits(one, fit, "unused")
    velocity, residual = drawn[0].axes[1].lines[0].get_data()
    model = np.interp(velocity, np.linspace(*fit.windows[0], 256), fit.profiles[0])
    data = one.flux[0, np.isin(one.velocity[0], velocity)]
    assert velocity.size > 100
    np.testing.assert_allclose(one.rms[0] * residual, data - model)


@pytest.mark.parametrize("value", [0.0, 1.0, 1e20, -1e-9])
def test_one_value_for_all_is_a_bar_in_the_middle(spectra, drawn, value):
    fit = fit_none(spectra)
    fit.table["A_flux"] = value
    plot_parameters(fit, "unused")
    panel = next(panel for panel in drawn[0].axes if panel.get_xlabel() == r"$A_{\mathrm{flux}}$")
    assert np.flatnonzero(bars(panel)) == bars(panel).size // 2
    assert max(bars(panel)) == 12
    assert panel.get_xlim()[0] < value < panel.get_xlim()[1]


def test_outliers_neither_stretch_an_axis_nor_go_unsaid(spectra, drawn):
    fit = fit_model(mock_cig(n_galaxies=300))
    fit.table.loc[fit.table.index[0], "w50"] = 1e6
    fit.table.loc[fit.table.index[1], "w50"] = np.inf
    plot_parameters(fit, "unused")
    panel = next(panel for panel in drawn[0].axes if panel.get_xlabel() == "$W_{50}$ (km/s)")
    assert panel.get_xlim()[1] < 2000
    assert panel.get_title() == "N = 299, 2 outside"
    assert sum(bars(panel)) == 297


def test_quantities_over_decades_have_logarithmic_axes(spectra, drawn):
    fit = fit_model(spectra)
    fit.table["snr"], fit.table["position"] = np.geomspace(5, 5000, 12), np.linspace(1000, 9000, 12)
    plot_parameters(fit, "unused")
    scales = {panel.get_xlabel(): panel.get_xscale() for panel in drawn[0].axes}
    assert scales["S/N"] == "log"
    assert scales[r"$V_{\mathrm{line}}$ (km/s)"] == "linear"
    assert {"centre (km/s)", "sigma (km/s)", r"reduced $\chi^2$"} < set(scales)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("settings", "colours"),
    [
        ({"kind": "difference"}, ("RdBu", (-1, 1))),
        ({"kind": "whole", "quarter": False}, ("magma_r", (0, 1))),
        ({"kind": "rescaled_difference"}, ("magma_r", (0, 1))),
        ({"colormap": "RdBu"}, None),
    ],
)
def test_images_are_drawn_on_the_scale_of_their_kind(drawn, settings, colours):
    profiles = np.random.default_rng(0).normal(size=(9, 40)).cumsum(axis=1)
    predicted = np.array([0, 0, 0, 0, 0, 0, 2, 2, 7])
    feature = DiscImage(size=8, **settings).fit(profiles)
    windows = np.full((9, 2), 5000.0) + np.arange(9)[:, None] * [-10, 10]
    plot_images(profiles, predicted, feature.transform, "unused", windows)
    said = [text.get_text() for panel in drawn[0].axes for text in panel.texts]
    assert said == [f"±{10 * row} km/s" for row in (0, 1, 2, 3, 6, 7, 8)]
    images = [image for panel in drawn[0].axes for image in panel.images]
    assert len(images) == 4 + 2 + 1
    titles = [panel.get_title(loc="left") for panel in drawn[0].axes]
    assert [title for title in titles if title] == [
        "class 0: 4 of 6 profiles",
        "class 2: 2 of 2 profiles",
        "class 7: 1 of 1 profile",
    ]
    expected = np.moveaxis(feature.transform(profiles[[8]])[0], 0, -1).squeeze()
    np.testing.assert_allclose(images[-1].get_array(), expected)
    if colours is None:
        assert images[0].get_array().shape == (8, 8, 3)
    else:
        assert {(image.get_cmap().name, image.get_clim()) for image in images} == {colours}


def test_hundreds_of_classes_make_no_larger_pictures(tmp_path):
    """A clusterer may find any number of groups."""
    rng = np.random.default_rng(0)
    profiles, classes = rng.random((600, 20)), np.arange(600) % 200
    confusion = np.full((200, 200), 3)
    plot_classes(profiles, classes, tmp_path / "classes.png")
    plot_confusion(confusion, np.arange(200), "clusterer", tmp_path / "confusion.png")
    plot_images(profiles, classes, DiscImage(size=8).fit(profiles).transform, tmp_path / "images.png")
    for picture in tmp_path.iterdir():
        with Image.open(picture) as image:
            assert max(image.size) < 5000, picture.name


def profiles(n):
    """Lines with noise, shape (n, 120)."""
    rng = np.random.default_rng(0)
    axis = np.linspace(-1, 1, 120)
    return 50 * np.exp(-((axis - rng.normal(0, 0.1, (n, 1))) ** 2) / 0.1) + rng.normal(0, 1, (n, 120))


def parameters(n):
    """What is known of n galaxies, with a constant, a wide range, large numbers, unknown values and odd names."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"HIflux": np.geomspace(1e-4, 1e4, n), "W50": rng.normal(200, 50, n), "const": 2.3})
    table["$x_{y}$ " + 5 * "long_name_"], table["Dist"] = rng.normal(1e9, 1e8, n), rng.normal(90, 30, n)
    table.loc[1:3, "Dist"] = np.nan
    return table


def with_names(spectra):
    names = [f"{name} {number}" for number, name in enumerate(ODD_NAMES * 3)]
    return replace(spectra, ids=np.array(names[: len(spectra)]))


def plot_saliency_of(n_classes, n_objects, images, file):
    predicted = np.sort(np.arange(n_objects) % n_classes)
    shape = (n_objects, *(images or (120,)))
    saliency = np.random.default_rng(0).normal(size=shape)
    titles = [f"{ODD_NAMES[row % 5]}: {name} (reference {name})" for row, name in enumerate(predicted)]
    plot_saliency(profiles(n_objects), np.abs(saliency).clip(0, 1), saliency, predicted, titles, file)


def plot_images_of(n_classes, n_objects, file):
    feature = DiscImage(size=8).fit(profiles(n_objects))
    plot_images(profiles(n_objects), np.arange(n_objects) % n_classes, feature.transform, file)


@pytest.mark.slow
@pytest.mark.parametrize(("n_classes", "n"), [(1, 1), (2, 9), (5, 30), (40, 120)])
def test_any_number_of_classes_is_legible(tmp_path, written, n_classes, n):
    file, classes, table = tmp_path / "picture.png", np.arange(n) % n_classes, parameters(n)
    plot_classes(profiles(n), classes, file)
    plot_images_of(n_classes, n, file)
    plot_confusion(np.full((n_classes, n_classes), 12345), np.arange(n_classes), "reference", file)
    for known in (table, table[["W50"]]):
        plot_parameters_by_class(known, classes, dependence(known, classes), file)
    for shape in ((1, 8, 8), (3, 8, 8), ()):
        plot_saliency_of(min(n_classes, 5), min(n, 15), shape, file)
    assert_legible(written)


def test_any_name_of_a_class_is_legible(tmp_path, written):
    file, classes = tmp_path / "picture.png", np.array(ODD_NAMES * 2)
    plot_classes(profiles(10), classes, file)
    plot_parameters_by_class(parameters(10), classes, pd.DataFrame(columns=["epsilon2"]), file)
    plot_confusion(np.full((5, 5), 3), np.array(ODD_NAMES), "clusterer", file)
    plot_confusion(np.zeros((2, 2), dtype=int), np.array([123456, 1234567]), "reference", file)
    assert_legible(written)


@pytest.mark.slow
@pytest.mark.parametrize("fit", [fit_model, fit_none])
@pytest.mark.parametrize("n", [1, 2, 5, 12])
def test_fits_of_any_number_of_objects_of_any_name_are_legible(tmp_path, spectra, written, fit, n):
    few = with_names(spectra.take(slice(0, n)))
    plot_fits(few, fit(few), tmp_path / "fits.png")
    plot_parameters(fit(few), tmp_path / "parameters.png")
    assert_legible(written)


@pytest.mark.slow
def test_fits_of_large_numbers_are_legible(tmp_path, spectra, written):
    strong = replace(spectra, flux=1e6 * spectra.flux, rms=1e6 * spectra.rms)
    fit = fit_model(strong)
    fit.table["chi2_dof"] *= 1e7
    fit.table["r2"] = np.linspace(0.999999, 0.9999999, 12)
    plot_fits(strong, fit, tmp_path / "fits.png")
    plot_parameters(fit, tmp_path / "parameters.png")
    assert_legible(written)


@pytest.mark.parametrize(
    "history",
    [
        {f"{part}_{quantity}": [1.0] for quantity in ("loss", "accuracy") for part in ("train", "validation")},
        {"train_loss": [np.nan] * 5},
        {"train_loss": [1e6, 1.0] * 60, "validation_loss": [1.0] * 80, "$odd_{x}$": [0.5] * 3},
    ],
)
def test_any_training_is_legible(tmp_path, written, history):
    plot_training(history, tmp_path / "training.png")
    assert_legible(written)


@pytest.mark.parametrize("rc", [{}, {"text.usetex": True}])
def test_names_are_no_tex(tmp_path, spectra, written, rc):
    with mpl.rc_context(rc):
        plot_fits(with_names(spectra), fit_model(with_names(spectra)), tmp_path / "fits.png")
    titles = [words.partition("\n")[0] for words, _ in written[0][0]]
    assert "$NGC_{1234}$ & \\frac{1}{2} ^x 0" in titles
    assert any(title.startswith("a_very_long_name_") and title.endswith("…") for title in titles)
    assert any(title.startswith("UGC 1 tab break \\alpha $ ") for title in titles)


def test_nothing_is_left_of_a_picture_but_its_file(tmp_path):
    before = dict(mpl.rcParams)
    plot_classes(profiles(9), np.arange(9) % 3, tmp_path / "classes.png")
    assert plt.get_fignums() == []
    assert dict(mpl.rcParams) == before


@pytest.mark.parametrize("rc", [{}, {"text.usetex": True, "figure.dpi": 40}])
def test_a_notebook_shows_what_is_written(tmp_path, rc):
    history = {"train_loss": [3.0, 2.0], "validation_loss": [3.0, 2.5]}
    for name, draw in {
        "classes": partial(plot_classes, profiles(9), np.arange(9) % 3),
        "confusion": partial(plot_confusion, np.array([[8, 2], [0, 1]]), np.array([3, 5]), "reference"),
        "training": partial(plot_training, history),
    }.items():
        draw(tmp_path / f"{name}.png")
        with mpl.rc_context(rc):
            figure = draw()
        assert figure._repr_png_() == (tmp_path / f"{name}.png").read_bytes()
    assert len(list(tmp_path.iterdir())) == 3


def test_classes_have_their_lines_their_median_and_its_range(drawn):
    sample, predicted = profiles(200), np.repeat([0, 2], [150, 50])
    plot_classes(sample, predicted, "unused")
    scaled = (sample - sample.min(axis=1, keepdims=True)) / np.ptp(sample, axis=1)[:, None]
    for panel, name, n_lines in zip(drawn[0].axes, (0, 2), (50, 50), strict=True):
        band, lines = sorted(panel.collections, key=lambda shown: len(shown.get_paths()))
        assert len(lines.get_segments()) == n_lines
        np.testing.assert_allclose(panel.lines[0].get_ydata(), np.median(scaled[predicted == name], axis=0))
        low, high = np.percentile(scaled[predicted == name], [16, 84], axis=0)
        np.testing.assert_allclose(np.sort(np.unique(band.get_paths()[0].vertices[:, 1])), np.unique([low, high]))
    assert drawn[0].axes[0].get_title() == "class 0: 150 profiles"


def test_the_confusion_matrix_has_its_counts_and_shares(drawn):
    confusion = np.array([[8, 2], [0, 0]])
    plot_confusion(confusion, np.array([3, 5]), "reference", "unused")
    panel = drawn[0].axes[0]
    np.testing.assert_allclose(panel.images[0].get_array(), [[0.8, 0.2], [0, 0]])
    assert [text.get_text() for text in panel.texts] == ["8", "2", "0", "0"]
    assert [tick.get_text() for tick in panel.get_yticklabels()] == ["3", "5"]
    assert (panel.get_xlabel(), panel.get_ylabel()) == ("predicted class", "reference class")
    assert panel.child_axes[0].get_ylabel() == "fraction of reference class"


def test_histograms_by_class_are_told_apart_and_count_every_object(drawn):
    classes = np.arange(240) % 12
    plot_parameters_by_class(parameters(240)[["W50"]], classes, pd.DataFrame(columns=["epsilon2"]), "unused")
    lines = drawn[0].axes[0].patches
    assert len({(line.get_edgecolor(), line.get_linestyle()) for line in lines}) == 12
    assert sum(line.get_data()[0].sum() for line in lines) == 236  # less those beyond the percentiles
    assert [text.get_text() for text in drawn[0].legends[0].get_texts()][:2] == ["class 0: 20", "class 1: 20"]


def test_saliency_stands_beside_profile_and_image(drawn):
    plot_saliency_of(2, 5, (1, 8, 8), "unused")
    shown = [panel for panel in drawn[0].axes if panel.images]
    assert len(shown) == 5
    for panel in shown:
        image, saliency = panel.images
        assert (image.get_cmap().name, image.get_clim()) == ("magma_r", (0, 1))
        assert (saliency.get_cmap().name, saliency.get_clim()) == ("PuOr", (-1, 1))
        assert np.abs(saliency.get_array()).max() == pytest.approx(1)


def test_the_course_of_a_training_has_a_panel_a_quantity(drawn):
    history = {"train_loss": [3.0, 2.0, 1.0], "validation_loss": [3.0, 2.5, 2.4], "train_accuracy": [0.5, 0.6, 0.7]}
    plot_training(history, "unused")
    loss, accuracy = drawn[0].axes
    assert (loss.get_ylabel(), accuracy.get_ylabel(), accuracy.get_xlabel()) == ("loss", "accuracy", "epoch")
    assert [line.get_ydata().tolist() for line in loss.lines] == [history["train_loss"], history["validation_loss"]]
    assert [text.get_text() for text in drawn[0].legends[0].get_texts()] == ["training", "validation"]
