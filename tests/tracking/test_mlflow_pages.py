"""What MLflow's own pages show of runs, in a real browser."""

import re

import pytest
from helpers.commands import train
from helpers.mlflow_server import free_port, server

pytestmark = pytest.mark.slow

QUICK = ["dataset.n_galaxies=60", "feature=asymmetry", "evaluation.permutations=20"]


@pytest.fixture(scope="module")
def pages(browser, tmp_path_factory):
    """Return a browser page, and the address that a sweep says its runs are shown at."""
    folder, port = tmp_path_factory.mktemp("pages"), free_port()
    with server(folder, port):
        words = ["-m", *QUICK, "classifier=knn,svm", "tracking=server", f"tracking.uri=http://127.0.0.1:{port}"]
        result = train(*words, "tracking.register=asymmetric", cwd=folder)
        assert result.returncode == 0, result.stderr
        address = re.search(r"compare runs in a browser:  (\S+)", result.stdout)[1]
        page = browser.new_page(viewport={"width": 2200, "height": 1200})
        page.set_default_timeout(90_000)
        yield page, address
        page.close()


def test_the_address_opens_the_jobs_with_sample_score_chance_and_p(pages):
    page, address = pages
    page.goto(address)
    page.get_by_text("knn", exact=True).first.wait_for()
    shown = page.inner_text("body")
    assert "Model training" in shown
    for text in ("mock_cig (", "svm", "test/success_rate", "chance/chance_success_rate", "chance/p_success_rate"):
        assert text in shown
    page.get_by_text(re.compile(r"mock_cig \(\w{8}\)")).first.click()  # what the Dataset column leads to
    page.get_by_text("num rows:").first.wait_for()
    assert "42" in page.get_by_text("num rows:").first.inner_text()


def test_the_models_tab_has_a_model_of_each_job(pages):
    page, address = pages
    page.goto(address.replace("/runs?", "/models?"))
    page.get_by_text("Ready").first.wait_for()
    assert page.get_by_text("Ready").count() == 2
    page.get_by_text("model", exact=True).first.click()
    page.get_by_text("Source run").first.wait_for()


def test_the_page_of_a_sweep_has_its_verdict_and_picture(pages):
    page, address = pages
    page.goto(address)
    page.get_by_text(re.compile("^classifier=knn,svm")).first.click()
    page.get_by_text(re.compile("The best of 2 configurations, run")).first.wait_for()
    page.get_by_text("Show more").first.click()
    picture = page.locator('img[src^="get-artifact?path=sweep.png"]').first
    picture.wait_for()
    assert picture.evaluate("image => image.complete && image.naturalWidth > 100")


def test_the_registry_has_the_best_with_the_verdict(pages):
    page, address = pages
    page.goto(address.partition("#")[0] + "#/models/asymmetric/versions/1?workflowType=machine_learning")
    page.get_by_text(re.compile("The best of 2 configurations, run")).first.wait_for()
