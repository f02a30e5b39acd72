"""A real MLflow server."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests


def free_port() -> int:
    """Return a port on which nobody listens."""
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        return place.getsockname()[1]


@contextmanager
def server(folder: Path, port: int, store: str | None = None) -> Iterator[subprocess.Popen]:
    """Start a server that takes artefacts, too, below `folder`, and runs there or in another `store`.

    It is killed at the end of the block if it is there still.
    """
    words = ["server", "--port", str(port), "--workers", "1", "--serve-artifacts"]
    words += ["--backend-store-uri", store or f"sqlite:///{folder}/server.db"]
    process = subprocess.Popen(
        [sys.executable, "-m", "mlflow", *words, "--artifacts-destination", str(folder / "kept")],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        for _ in range(1200):
            try:
                assert requests.get(f"http://127.0.0.1:{port}/health", timeout=5).ok
                break
            except (requests.ConnectionError, requests.Timeout):
                time.sleep(0.1)
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
