"""A page of a real browser that notes what goes wrong in it."""

import pytest
from helpers.chromium import HERE


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
