"""A training goes on from a shorter one of the same settings, or from where it was killed."""

import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.networks import ON_A_GPU, SMALL, two_kinds_of_image

from hiexp.classifiers import CNNClassifier

SCRIPT = """
import sys
from helpers.networks import SMALL, two_kinds_of_image
from hiexp.classifiers import CNNClassifier
folder, epochs = sys.argv[1], int(sys.argv[2])
CNNClassifier(SMALL, epochs=epochs, checkpoints=folder, checkpoint_seconds=0).fit(*two_kinds_of_image())
print("pytorch_lightning" in sys.modules)
"""


def in_another_process(folder, epochs):
    search = os.pathsep.join([str(Path(__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])])
    words = [sys.executable, "-c", SCRIPT, str(folder), str(epochs)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(words, env=os.environ | {"PYTHONPATH": search}, text=True, **pipes)


def saved(folder):
    return sorted(file.name for file in folder.glob("training-*/*.safetensors"))


def assert_same(one, other):
    assert one.history_ == other.history_
    for name, weights in one.network_.state_dict().items():
        assert torch.equal(weights, other.network_.state_dict()[name]), name


@pytest.mark.parametrize("settings", [{}, {"precision": "32"}, {"early_stopping": 2, "class_weight": "balanced"}])
@pytest.mark.parametrize("dimensions", [1, 2])
@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=ON_A_GPU)])
def test_a_longer_training_goes_on_from_a_shorter_one(tmp_path, caplog, settings, dimensions, device):
    X, y = two_kinds_of_image()
    settings = settings | {"device": device}
    X = X if dimensions == 2 else X[:, 0, 0]
    scratch = CNNClassifier(SMALL, epochs=5, **settings).fit(X, y)
    caplog.set_level(logging.INFO)
    for epochs in (2, 3):
        CNNClassifier(SMALL, epochs=epochs, checkpoints=str(tmp_path), **settings).fit(X, y)
    longer = CNNClassifier(SMALL, epochs=5, checkpoints=str(tmp_path), **settings).fit(X, y)
    assert_same(longer, scratch)
    assert "after 3 epochs" in caplog.text
    assert "epoch-000002.safetensors" in saved(tmp_path)
    # A shorter one finds its own, too.
    shorter = CNNClassifier(SMALL, epochs=2, checkpoints=str(tmp_path), **settings).fit(X, y)
    assert_same(shorter, CNNClassifier(SMALL, epochs=2, **settings).fit(X, y))


@pytest.mark.parametrize(
    "change",
    [{"seed": 1}, {"batch_size": 16}, {"learning_rate": 0.01}, {"precision": "32"}, {"class_weight": "balanced"}],
)
def test_other_settings_are_another_training(tmp_path, change):
    X, y = two_kinds_of_image()
    CNNClassifier(SMALL, epochs=1, checkpoints=str(tmp_path)).fit(X, y)
    other = CNNClassifier(SMALL, epochs=2, checkpoints=str(tmp_path), **change).fit(X, y)
    assert_same(other, CNNClassifier(SMALL, epochs=2, **change).fit(X, y))


def test_other_images_or_classes_are_another_training(tmp_path):
    X, y = two_kinds_of_image()
    CNNClassifier(SMALL, epochs=1, checkpoints=str(tmp_path)).fit(X, y)
    for values, classes in ((X + 1, y), (X, y[::-1])):
        other = CNNClassifier(SMALL, epochs=2, checkpoints=str(tmp_path)).fit(values, classes)
        assert_same(other, CNNClassifier(SMALL, epochs=2).fit(values, classes))


@pytest.mark.parametrize("damage", ["cut", "changed", "emptied"])
def test_a_damaged_checkpoint_is_noticed(tmp_path, caplog, damage):
    X, y = two_kinds_of_image()
    CNNClassifier(SMALL, epochs=2, checkpoints=str(tmp_path)).fit(X, y)
    (checkpoint,) = tmp_path.glob("training-*/*.safetensors")
    content = bytearray(checkpoint.read_bytes())
    content[len(content) // 2] ^= 1
    checkpoint.write_bytes({"cut": content[:-100], "changed": content, "emptied": b""}[damage])
    again = CNNClassifier(SMALL, epochs=3, checkpoints=str(tmp_path)).fit(X, y)
    assert "is damaged" in caplog.text
    assert_same(again, CNNClassifier(SMALL, epochs=3).fit(X, y))


@pytest.mark.slow
def test_lightning_is_imported_to_train_and_not_to_read_a_trained_network(tmp_path):
    for epochs, trains in ((1, "True\n"), (1, "False\n"), (2, "True\n")):
        said, errors = in_another_process(tmp_path, epochs).communicate(timeout=300)
        assert said == trains, errors


@pytest.mark.slow
def test_a_killed_training_goes_on(tmp_path, caplog):
    process = in_another_process(tmp_path, 100_000)
    deadline = time.monotonic() + 300
    while (not saved(tmp_path) or saved(tmp_path)[-1] < "epoch-000005") and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    (checkpoint,) = saved(tmp_path)  # one alone: those on the way have made room for it
    epochs = int(checkpoint[6:12])
    assert epochs >= 5
    X, y = two_kinds_of_image()
    caplog.set_level(logging.INFO)
    resumed = CNNClassifier(SMALL, epochs=epochs + 2, checkpoints=str(tmp_path)).fit(X, y)
    assert f"after {epochs} epochs" in caplog.text
    assert_same(resumed, CNNClassifier(SMALL, epochs=epochs + 2).fit(X, y))
    assert not list(tmp_path.rglob("*.partial"))


@pytest.mark.slow
def test_two_processes_that_want_the_same_training_share_it(tmp_path):
    X, y = two_kinds_of_image()
    other = in_another_process(tmp_path, 6)
    deadline = time.monotonic() + 300
    while not list(tmp_path.glob("training-*")) and time.monotonic() < deadline:
        time.sleep(0.005)
    here = CNNClassifier(SMALL, epochs=4, checkpoints=str(tmp_path), checkpoint_seconds=0).fit(X, y)
    _, said = other.communicate(timeout=300)
    assert other.returncode == 0, said
    assert saved(tmp_path)[-1] == "epoch-000006.safetensors"
    assert_same(here, CNNClassifier(SMALL, epochs=4).fit(X, y))
    there = CNNClassifier(SMALL, epochs=6, checkpoints=str(tmp_path)).fit(X, y)
    assert_same(there, CNNClassifier(SMALL, epochs=6).fit(X, y))


def test_a_folder_that_cannot_be_written_costs_a_warning(tmp_path, caplog):
    (tmp_path / "checkpoints").write_text("a file in the place of the folder")
    X, y = two_kinds_of_image()
    trained = CNNClassifier(SMALL, epochs=1, checkpoints=str(tmp_path / "checkpoints")).fit(X, y)
    assert "cache=off" in caplog.text
    np.testing.assert_array_equal(trained.predict_proba(X), CNNClassifier(SMALL, epochs=1).fit(X, y).predict_proba(X))
