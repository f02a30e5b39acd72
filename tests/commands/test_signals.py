"""A command that is told to end says so, marks its runs, and exits with the signal's own status."""

import os
import signal
import subprocess
import sys
import time

import pytest
from helpers.commands import start_training
from mlflow import MlflowClient

from hiexp.signals import ENDING

LONG = ["dataset.n_galaxies=60", "fit=none", "feature.size=16", "epochs=100000", "classifier.checkpoint_seconds=1000"]


def started(folder, *words, until):
    """Start the command and wait until it has made some file."""
    process = start_training(*words, cwd=folder)
    while process.poll() is None and not list(folder.glob(until)):
        time.sleep(0.05)
    time.sleep(3)  # into the training
    return process


def statuses(folder):
    client = MlflowClient(f"sqlite:///{folder}/mlruns/mlflow.db")
    return [run.info.status for run in client.search_runs([client.get_experiment_by_name("hiexp").experiment_id])]


@pytest.mark.slow
def test_a_training_that_is_stopped_says_by_what(tmp_path):
    sent = signal.SIGTERM  # Lightning has a handler of its own for it
    process = started(tmp_path, *LONG, until="runs/*/*/fits.ecsv")
    process.send_signal(sent)
    said = process.communicate(timeout=300)[0]
    assert process.returncode == 128 + sent
    assert said.rstrip().endswith(f"Stopped by {sent.name}.")
    assert "Traceback" not in said
    assert statuses(tmp_path) == ["KILLED"]


@pytest.mark.slow
@pytest.mark.parametrize(("launcher", "sent"), [("basic", signal.SIGINT), ("joblib", signal.SIGTERM)])
def test_a_sweep_that_is_stopped_always_has_the_same_status(tmp_path, launcher, sent):
    words = ["-m", *LONG, "random_state=1,2", f"hydra/launcher={launcher}"]
    process = started(tmp_path, *words, until="runs/*/*_sweep/*/fits.ecsv")
    os.killpg(process.pid, sent)  # as a terminal and a scheduler do
    said = process.communicate(timeout=300)[0]
    assert process.returncode == 128 + sent, said
    assert f"Stopped by {sent.name}." in said
    assert "the same command runs what is missing" in said
    assert "Traceback" not in said
    assert set(statuses(tmp_path)) == {"KILLED"}


def test_every_signal_that_ends_a_process_politely_is_among_them():
    assert {signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGXCPU, signal.SIGUSR1, signal.SIGUSR2} <= {*ENDING}


def test_a_signal_that_is_ignored_stays_so(tmp_path):
    """So nohup keeps its word."""
    code = (
        "import os, signal; from hiexp.signals import ended_by_signals\n"
        "signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        "with ended_by_signals(): os.kill(os.getpid(), signal.SIGHUP); print('goes on')"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (result.returncode, result.stdout) == (0, "goes on\n")


@pytest.mark.parametrize("error", ["SystemExit(1)", "RuntimeError('a worker died')", "None"])
def test_what_a_library_makes_of_a_signal_does_not_change_the_status(error):
    code = (
        "import os, signal; from hiexp.signals import ended_by_signals\n"
        "with ended_by_signals():\n"
        "    try: os.kill(os.getpid(), signal.SIGTERM)\n"
        f"    except KeyboardInterrupt as stop:\n        if {error}: raise {error} from stop"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (128 + signal.SIGTERM, "Stopped by SIGTERM.\n")


def test_a_signal_that_python_drops_is_told_again_without_a_traceback():
    """An exception in a destructor is printed and forgotten; the work would go on to its end."""
    code = (
        "import os, signal, time; from hiexp import signals\n"
        "signals.AGAIN = 100\n"  # it does not wait for that
        "class Kept:\n    def __del__(self): os.kill(os.getpid(), signal.SIGINT)\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a shell's background jobs ignore it
        "with signals.ended_by_signals():\n"
        "    kept = Kept(); del kept\n"
        "    time.sleep(60)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=50)
    assert (result.returncode, result.stdout) == (128 + signal.SIGINT, "")
    assert result.stderr == "Stopped by SIGINT.\n"


def test_what_else_python_drops_is_printed_as_ever():
    code = (
        "from hiexp.signals import ended_by_signals\n"
        "class Kept:\n    def __del__(self): raise ValueError('of a library')\n"
        "with ended_by_signals(): kept = Kept(); del kept"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0
    assert "ValueError: of a library" in result.stderr
