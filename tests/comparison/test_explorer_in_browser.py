"""The objects of a run, looked at in a real browser."""

import pytest
from helpers.chromium import PHONE
from helpers.explored import HOSTILE, write_explored

from hiexp.comparison.explorer import read_objects
from hiexp.comparison.html import write_page
from hiexp.comparison.runs import read_sweep

DRAWN = "Bokeh.documents.slice(1).filter(d => d.get_model_by_name('data').data.v.length).length"
CHOSEN = "Bokeh.documents[0].get_model_by_name('objects').selected.indices"


@pytest.fixture(scope="module")
def comparison(tmp_path_factory):
    return read_sweep(write_explored(tmp_path_factory.mktemp("runs") / "2026-11-22" / "12-00-00_sweep")).ranked()


@pytest.fixture(scope="module")
def report(comparison, tmp_path_factory):
    return write_page(comparison, tmp_path_factory.mktemp("page") / "report.html").as_uri()


@pytest.fixture(scope="module")
def objects(comparison):
    return read_objects(comparison.done[0])


def opened(page, report, **size):
    page.set_default_timeout(90_000)
    if size:
        page.set_viewport_size(size)
    page.goto(report)
    assert page.evaluate("typeof Bokeh") == "undefined"  # nothing of it runs before it is asked for
    page.get_by_role("button", name="Explore objects").click()
    page.locator("#explorer-open").wait_for(state="hidden")
    return page.locator("#explorer-lines article:visible")


@pytest.mark.slow
@pytest.mark.parametrize("size", [{"width": 1280, "height": 900}, PHONE], ids=["desk", "phone"])
def test_an_object_is_found_by_its_id_with_those_most_similar(page, report, objects, size):
    panels = opened(page, report, **size)
    assert panels.count() == 0
    assert page.evaluate("Bokeh.documents[0].get_model_by_name('objects').data.x.length") == len(objects.ids)
    page.locator("#explorer-search").fill("cig0007")
    assert panels.count() == 1
    assert "CIG0007" in panels.first.inner_text()
    assert page.evaluate(CHOSEN) == [objects.ids.index("CIG0007")]
    assert page.evaluate(DRAWN) == 1
    assert panels.first.locator(".bk-Figure").bounding_box()["width"] > 150
    assert panels.first.locator("canvas").last.is_visible()  # the image
    panels.first.get_by_role("button", name="similar").click()
    names = panels.locator("strong").all_inner_texts()
    row = objects.ids.index("CIG0007")
    assert names == ["CIG0007", *(objects.ids[other] for other in objects.nearest[row])]
    assert page.locator("#explorer-said").inner_text().startswith("CIG0007 and the 6 most similar")
    page.locator("#explorer-search").fill("no such object")
    assert panels.count() == 0
    assert page.locator("#explorer-said").inner_text() == "0 objects with this in the id"
    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
    scatter = page.locator("#explorer-scatter .bk-Figure").bounding_box()
    assert scatter["width"] > size["width"] - 60 if size is PHONE else scatter["width"] > 1100
    assert page.wrong == []


@pytest.mark.slow
def test_objects_in_a_box_are_shown_twelve_at_a_time(page, report, objects):
    panels = opened(page, report)
    box = page.locator("#explorer-scatter .bk-Figure").bounding_box()
    page.mouse.move(box["x"] + 80, box["y"] + 80)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 20, box["y"] + box["height"] - 70, steps=6)
    page.mouse.up()
    page.wait_for_function(f"{CHOSEN}.length > 12")
    chosen = page.evaluate(CHOSEN)
    assert panels.count() == 12
    first = panels.locator("strong").all_inner_texts()
    assert first == [objects.ids[row] for row in sorted(chosen)[:12]]
    page.get_by_role("button", name="next").click()
    assert panels.locator("strong").all_inner_texts() == [objects.ids[row] for row in sorted(chosen)[12:24]]
    page.get_by_role("button", name="previous").click()
    assert panels.locator("strong").all_inner_texts() == first
    assert page.wrong == []


@pytest.mark.slow
def test_axes_and_classes_are_chosen(page, report, objects):
    opened(page, report)
    page.locator("#explorer-x").select_option(label="Vhel (km/s)")
    page.locator("#explorer-x-log").check()
    page.locator("#explorer-class").select_option(label="predicted class")
    page.wait_for_function(
        "Bokeh.documents[0].get_model_by_name('scatter').below[0].axis_label === 'log10 of Vhel (km/s)'"
    )
    data = page.evaluate(
        "(({x, marker, colour}) => ({x: [...x], marker, colour}))"
        "(Bokeh.documents[0].get_model_by_name('objects').data)"
    )
    velocity = next(column for column in objects.columns if column.name == "Vhel").values
    assert 10 ** data["x"][3] == pytest.approx(velocity[3], rel=1e-3)
    marks = {*zip(objects.classes["predicted"], data["marker"], data["colour"], strict=True)}
    entries = "Bokeh.documents[0].get_model_by_name('legend').items.map(item => item.label.value)"
    assert page.evaluate(entries) == ["0", "1", "2"]
    assert len(marks) == len({mark for _, mark, _ in marks}) == len({colour for *_, colour in marks}) == 3
    assert page.wrong == []


@pytest.mark.slow
def test_a_hostile_id_is_text(page, report):
    panels = opened(page, report)
    page.locator("#explorer-search").fill("onerror")
    assert panels.locator("strong").all_inner_texts() == [HOSTILE]
    assert page.locator("img[src='x']").count() == 0
    assert page.wrong == []


def test_without_javascript_there_is_no_explorer(browser, report):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(report)
    assert page.locator("table.runs tr.run").count() == 2
    assert not page.locator("#explorer").is_visible()
    assert "explorer" not in page.locator("body").inner_text().lower()
    context.close()
