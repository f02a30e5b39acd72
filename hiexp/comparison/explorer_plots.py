"""The plots of a page's explorer, as Bokeh describes them to its own script, without data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bokeh.plotting import figure as Figure  # noqa: N812

# Told apart with any colour vision (Okabe & Ito 2008), and each by its shape, too.
MARKS = (
    ("#0072b2", "circle"),
    ("#d55e00", "triangle"),
    ("#009e73", "square"),
    ("#cc79a7", "diamond"),
    ("#e69f00", "inverted_triangle"),
    ("#56b4e9", "hex"),
    ("#000000", "plus"),
    ("#8c6d31", "star"),
)
NO_CLASS_MARK = ("#8a929c", "x")
SCATTER, LINE = "explorer-scatter", "explorer-line-{}"  # ids of the elements that they are drawn in
HEIGHT, HEIGHT_OF_LINE = 440, 190  # pixels
CLASSES = 8  # in the legend
TOLD = "document.dispatchEvent(new CustomEvent('hiexp-chosen'))"


def library() -> bytes:
    """Return Bokeh's script, which draws all this in a browser without a network."""
    import bokeh

    return (Path(bokeh.__file__).parent / "server" / "static" / "js" / "bokeh.min.js").read_bytes()


def plot_items(n_lines: int) -> list[dict[str, Any]]:
    """Return the scatter plot and so many plots of a line, as ``Bokeh.embed.embed_item`` takes them."""
    from bokeh.embed import json_item

    plots = [(_scatter(), SCATTER), *((_line(), LINE.format(number)) for number in range(n_lines))]
    return [dict(json_item(plot, place)) for plot, place in plots]


def _scatter() -> Figure:
    """Return a plot of two quantities: colour and shape by class; chosen by a box, a lasso or a tap."""
    from bokeh.core.properties import value
    from bokeh.models import ColumnDataSource, CustomJS, HoverTool, Legend, LegendItem, Range1d
    from bokeh.plotting import figure

    names = ("x", "y", "colour", "marker", "class", "id")
    source = ColumnDataSource({name: [] for name in names}, name="objects")
    plot = figure(
        height=HEIGHT,
        sizing_mode="stretch_width",
        tools="box_select,lasso_select,tap,pan,box_zoom,wheel_zoom,reset,save",
        active_drag="box_select",
        active_scroll=None,
        toolbar_location="above",
        x_range=Range1d(0, 1),
        y_range=Range1d(0, 1),
        name="scatter",
    )
    drawn = plot.scatter(
        "x",
        "y",
        source=source,
        size=7,
        marker={"field": "marker"},
        fill_color={"field": "colour"},
        line_color={"field": "colour"},
        fill_alpha=0.5,
        line_alpha=0.7,
        nonselection_fill_alpha=0.08,
        nonselection_line_alpha=0.12,
        selection_fill_alpha=0.9,
    )
    # Which class each is of, and an object that has its mark, the script says.
    items = [LegendItem(label=value(""), renderers=[drawn], index=0) for _ in range(CLASSES + 1)]
    plot.add_layout(
        Legend(items=items, orientation="horizontal", background_fill_alpha=0.8, padding=4, margin=4, name="legend")
    )
    plot.add_tools(HoverTool(renderers=[drawn], tooltips=[("id", "@id"), ("class", "@class")]))
    source.selected.js_on_change("indices", CustomJS(code=TOLD))
    _plain(plot)
    return plot


def _line() -> Figure:
    """Return a plot of a spectrum, a step a sample, and the profile over the window of the fit."""
    from bokeh.models import ColumnDataSource, Range1d
    from bokeh.plotting import figure

    plot = figure(
        height=HEIGHT_OF_LINE,
        sizing_mode="stretch_width",
        tools="",
        toolbar_location=None,
        x_range=Range1d(0, 1),
        y_range=Range1d(0, 1),
        name="line",
        x_axis_label="velocity, optical cz (km/s)",
        y_axis_label="flux density (mJy)",
    )
    data, curve = (ColumnDataSource({"v": [], "s": []}, name=name) for name in ("data", "curve"))
    plot.step("v", "s", source=data, mode="center", color="#6b7480", line_width=1)
    plot.line("v", "s", source=curve, color="#c2410c", line_width=2)
    _plain(plot)
    return plot


def _plain(plot: Figure) -> None:
    """Set what both kinds of plot have in common."""
    for axis in (*plot.xaxis, *plot.yaxis):
        axis.axis_label_text_font_style = "normal"
        axis.axis_label_text_font_size = "11px"
        axis.ticker.desired_num_ticks = 5
    plot.grid.grid_line_color = "#e6e9ed"
    plot.outline_line_color = "#d8dde3"
    plot.toolbar.logo = None
