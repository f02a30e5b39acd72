"""A real browser, where there is one."""

import pytest
from helpers.chromium import CHROMIUM, FLAGS, HERE


@pytest.fixture(scope="package")
def browser():
    playwright = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("there is no Chromium on this machine")
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)  # with a new profile
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser):
    """A page that notes what it asks for elsewhere and what goes wrong in it."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.elsewhere, page.wrong = [], []
    page.on("request", lambda request: request.url.startswith(HERE) or page.elsewhere.append(request.url))
    page.on("pageerror", lambda error: page.wrong.append(str(error)))
    yield page
    page.close()
    assert page.elsewhere == []
