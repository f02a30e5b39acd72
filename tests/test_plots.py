"""The pictures of fits and images: what is drawn, and that odd samples do not stop a run."""

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.image import BboxImage
from matplotlib.patches import StepPatch
from PIL import Image

from hiexp.datasets import mock_cig
from hiexp.features import DiscImage
from hiexp.fitting import FitResult, fit_none, fit_whole
from hiexp.plots import fits as pictures
from hiexp.plots import images as galleries
from hiexp.plots import plot_classes, plot_confusion, plot_fits, plot_images, plot_parameters
from hiexp.plots.canvas import DPI, new_figure, put_text, write


@pytest.fixture(scope="module")
def spectra():
    return mock_cig(n_galaxies=12)


@pytest.fixture
def drawn(monkeypatch):
    """The figures, as they are when they are written."""
    figures = []
    monkeypatch.setattr(pictures, "write", lambda figure, file: figures.append(figure))
    return figures


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
    return steps.get_data().values


def damaged(spectra, n_bad):
    """The same spectra with nothing to find in the first ones."""
    flux = spectra.flux.copy()
    flux[:n_bad] = -1.0
    return replace(spectra, flux=flux)


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
            assert image.width == 1440
            assert np.ptp(np.asarray(image.convert("L"))) == 255


def test_no_picture_where_there_is_nothing_to_draw(tmp_path, spectra):
    bad = damaged(spectra, 12)
    plot_fits(bad, fit_none(bad), tmp_path / "fits.png")
    plot_parameters(fit_none(bad), tmp_path / "parameters.png")
    plot_fits(spectra, fit_whole(spectra), tmp_path / "fits.png")
    assert not list(tmp_path.iterdir())


def test_series_without_lines_have_their_two_histograms(spectra, drawn):
    plot_parameters(fit_whole(spectra), "unused")
    assert [panel.get_xlabel() for panel in drawn[0].axes] == ["flux_peak (mJy)", "flux_int (Jy km/s)"]


def test_the_page_goes_from_the_best_to_the_worst(spectra, drawn):
    fit = fit_model(spectra)
    fit.table["chi2_dof"] = [5, 3, 1, 2, 4, 6, 8, 7, 9, 12, 11, np.nan]
    fit.table["status"] = ["ok"] * 9 + ["lost", "ok", "ok"]
    plot_fits(spectra, fit, "unused")
    titles = [panel.get_title().partition(",")[0] for panel in drawn[0].axes]
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
    assert "S/N" in drawn[0].texts[0].get_text()


@pytest.mark.parametrize("fit", [fit_model, fit_none])
def test_the_widths_drawn_are_those_of_the_table(spectra, fit, drawn):
    result = fit(spectra.take(slice(0, 1)))
    plot_fits(spectra.take(slice(0, 1)), result, "unused")
    (line,) = [line for line in drawn[0].axes[0].lines if line.get_label() == "W50"]
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
    panel = next(panel for panel in drawn[0].axes if panel.get_xlabel() == "A_flux")
    assert max(bars(panel)) == 12
    assert panel.get_xlim()[0] < value < panel.get_xlim()[1]


def test_outliers_neither_stretch_an_axis_nor_go_unsaid(spectra, drawn):
    fit = fit_model(mock_cig(n_galaxies=300))
    fit.table.loc[fit.table.index[0], "w50"] = 1e6
    fit.table.loc[fit.table.index[1], "w50"] = np.inf
    plot_parameters(fit, "unused")
    panel = next(panel for panel in drawn[0].axes if panel.get_xlabel() == "w50 (km/s)")
    assert panel.get_xlim()[1] < 2000
    assert panel.get_title() == "N = 299, 2 outside"
    assert sum(bars(panel)) == 297


def test_quantities_over_decades_have_logarithmic_axes(spectra, drawn):
    fit = fit_model(spectra)
    fit.table["snr"], fit.table["position"] = np.geomspace(5, 5000, 12), np.linspace(1000, 9000, 12)
    plot_parameters(fit, "unused")
    scales = {panel.get_xlabel(): panel.get_xscale() for panel in drawn[0].axes}
    assert scales["snr"] == "log"
    assert scales["position (km/s)"] == "linear"
    assert {"centre (km/s)", "sigma (km/s)", "chi2_dof"} < set(scales)


@pytest.mark.parametrize(
    ("settings", "colours"),
    [
        ({"kind": "difference"}, ("RdBu", (-1, 1))),
        ({"kind": "whole", "quarter": False}, ("magma_r", (0, 1))),
        ({"kind": "rescaled_difference"}, ("magma_r", (0, 1))),
        ({"colormap": "RdBu"}, None),
    ],
)
def test_images_are_drawn_on_the_scale_of_their_kind(tmp_path, monkeypatch, settings, colours):
    figures = []
    monkeypatch.setattr(galleries, "write", lambda figure, file: figures.append(figure))
    profiles = np.random.default_rng(0).normal(size=(9, 40)).cumsum(axis=1)
    predicted = np.array([0, 0, 0, 0, 0, 0, 2, 2, 7])
    feature = DiscImage(size=8, **settings).fit(profiles)
    plot_images(profiles, predicted, feature.transform, tmp_path / "images.png")
    images = [artist for artist in figures[0].artists if isinstance(artist, BboxImage)]
    if colours is not None:
        images.pop()  # the colour bar
    assert len(images) == 4 + 2 + 1
    titles = [text.get_text() for text in figures[0].texts if text.get_text().startswith("class")]
    assert titles == ["class 0: 4 of 6 profiles", "class 2: 2 of 2 profiles", "class 7: 1 of 1 profile"]
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


def extent(file):
    """Left, right, bottom and top of what is written in a picture 3 inches high, inches."""
    dark = np.asarray(Image.open(file).convert("L")) < 128
    columns, lines = np.flatnonzero(dark.any(axis=0)), np.flatnonzero(dark.any(axis=1))
    return np.array([columns[0], columns[-1] + 1, 3 * DPI - lines[-1] - 1, 3 * DPI - lines[0]]) / DPI


@pytest.mark.parametrize("words", ["HI", "profiles of\ngalaxies"])
@pytest.mark.parametrize(("ha", "edge"), [("left", 0), ("center", 0.5), ("right", 1)])
@pytest.mark.parametrize(("va", "height"), [("bottom", 0), ("center", 0.5), ("center_baseline", 0.5), ("top", 1)])
def test_words_stand_where_they_are_put(tmp_path, words, ha, edge, va, height):
    figure = new_figure(5, 3, layout=None)
    put_text(figure, 2.5, 1.5, words, ha=ha, va=va)
    write(figure, tmp_path / "words.png")
    left, right, bottom, top = extent(tmp_path / "words.png")
    assert 0.1 < right - left < 1.2
    assert left + edge * (right - left) == pytest.approx(2.5, abs=0.03)
    assert bottom + height * (top - bottom) == pytest.approx(1.5, abs=0.06)  # of letters without ascent or descent


@pytest.mark.parametrize(("ha", "edge"), [("left", 0), ("right", 1)])
def test_words_that_go_upwards_stand_where_they_are_put(tmp_path, ha, edge):
    figure = new_figure(5, 3, layout=None)
    put_text(figure, 2.5, 1.5, "HHHH ............", ha=ha, va="center", rotation=90, color="red")
    write(figure, tmp_path / "words.png")
    left, right, bottom, top = extent(tmp_path / "words.png")
    assert top - bottom > 3 * (right - left)
    assert (bottom + top) / 2 == pytest.approx(1.5, abs=0.03)
    assert left + edge * (right - left) == pytest.approx(2.5, abs=0.06)
    pixels = np.asarray(Image.open(tmp_path / "words.png"), int)
    assert (pixels[..., 0] == 255).all()
    assert pixels[..., 1].min() < 64
    dark = pixels[..., 1] < 128
    assert dark[len(dark) // 2 :].sum() > 3 * dark[: len(dark) // 2].sum() > 0  # the letters below, the dots above
