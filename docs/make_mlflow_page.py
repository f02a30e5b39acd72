"""Draw the pictures of docs/mlflow.md, with Chromium: ``python docs/make_mlflow_page.py``, from the root of the code.

A sweep of six jobs is recorded by MLflow's server on this machine, and its pages are photographed.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from playwright.sync_api import sync_playwright

DOCS = Path(__file__).resolve().parent
PORT = 5117
SERVER = f"http://127.0.0.1:{PORT}"
SWEEP = ["feature=asymmetry,raw", "classifier=knn,svm,random_forest", "tracking.register=asymmetric"]
SIZE = {"width": 1700, "height": 640}


def recorded(folder: Path) -> str:
    """Run the sweep in a folder and return the address that it says its runs are shown at."""
    words = ["-m", *SWEEP, "tracking=server", f"tracking.uri={SERVER}"]
    command = [sys.executable, "-m", "hiexp.train", *words]
    said = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout
    found = re.search(r"compare runs in a browser:  (\S+)", said)
    assert found is not None, said
    return found[1]


def main() -> None:
    """Draw them."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with tempfile.TemporaryDirectory() as place, sync_playwright() as driver:
        words = ["server", "--port", str(PORT), "--workers", "1", "--serve-artifacts"]
        server = subprocess.Popen([sys.executable, "-m", "mlflow", *words], cwd=place, stderr=subprocess.DEVNULL)
        try:
            for _ in range(300):
                try:
                    urlopen(f"{SERVER}/health")
                    break
                except URLError:
                    time.sleep(0.2)
            address = recorded(Path(place))
            page = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"]).new_page(viewport=SIZE)
            page.goto(address)
            page.get_by_text(re.compile(r"mock_cig \(\w{8}\)")).first.wait_for()
            for button in page.get_by_role("button", name="Close").all():  # of the assistant beside it
                button.click()
            page.wait_for_timeout(2000)
            page.screenshot(path=DOCS / "mlflow_runs.png")
            page.get_by_text(re.compile("^feature=asymmetry,raw")).first.click()
            page.get_by_text("Show more").first.click()
            page.wait_for_timeout(2000)
            page.screenshot(path=DOCS / "mlflow_sweep.png")
            page.goto(address.replace("/runs?", "/models?"))
            page.get_by_text("Ready").first.wait_for()
            page.wait_for_timeout(2000)
            page.screenshot(path=DOCS / "mlflow_models.png")
        finally:
            server.terminate()
            server.wait()


if __name__ == "__main__":
    main()
