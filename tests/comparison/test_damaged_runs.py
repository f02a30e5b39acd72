"""Folders of runs and sweeps that a full disk, a copy or a stranger has damaged: compared, or refused by name."""

import csv
import io
import json
import logging
import math
import os
import random
import shutil
import zlib

import pandas as pd
import pytest
from helpers.commands import command
from helpers.sweeps import verdict, write_sweep

from hiexp.comparison.controls import against_controls
from hiexp.comparison.html import write_page
from hiexp.comparison.pairs import with_pairs
from hiexp.comparison.runs import read_sweep
from hiexp.comparison.svg import nice_ticks
from hiexp.comparison.text import csv_table, latex_table, report_text
from hiexp.csv_tables import unescaped
from hiexp.errors import InputError
from hiexp.printable import printable
from hiexp.run.membership import Sweep
from hiexp.sweep.ending import Ending
from hiexp.tracking.mlflow_store import NoTracking, Record

SMALL = {"model": ["simple", "medium"], "epochs": [50, 80]}
COUNTS = {job: {"n_train": 4, "n_test": 8, "n_training": 4} for job in range(4)}
PAIR = {"pair": "b less a", "score": "accuracy", "n": 2, "first": 0.5, "second": 0.6, "p": 0.1}
PAIR |= {"mean": 0.1, "low": 0.0, "high": 0.2}
HOSTILE = "<script>alert(1)</script> \\input{/etc/passwd} \x1b[2J\x1b]0;title\x07=1+1"


@pytest.fixture
def sweep(tmp_path):
    folder = write_sweep(tmp_path / "runs" / "2026-11-22" / "12-00-00_sweep", SMALL, COUNTS)
    (folder / "sweep.json").write_text(json.dumps(verdict(["0", "1", "2", "3"])))
    (folder / "pairs.json").write_text(json.dumps([PAIR]))
    return folder


def everything(folder, page):
    """Return all that is shown of a sweep."""
    found = read_sweep(folder).ranked()
    return "\n".join([report_text(found), csv_table(found), latex_table(found), write_page(found, page).read_text()])


def link(file):
    file.unlink()
    file.symlink_to(file.parent / "elsewhere")
    (file.parent / "elsewhere").write_text('{"success_rate": 0.99}')


def pipe(file):
    file.unlink()
    os.mkfifo(file)


def folder_instead(file):
    file.unlink()
    file.mkdir()


DAMAGES = {
    "empty": lambda file: file.write_bytes(b""),
    "zeros of a full disk": lambda file: file.write_bytes(bytes(4096)),
    "cut": lambda file: file.write_bytes(file.read_bytes()[:3]),
    "half of it": lambda file: file.write_bytes(file.read_bytes()[: file.stat().st_size // 2]),
    "not UTF-8": lambda file: file.write_bytes(b"\xff\xfe" + file.read_bytes()),
    "a list": lambda file: file.write_text("[1, 2, [3]]"),
    "deep": lambda file: file.write_text("[" * 200_000),
    "a word": lambda file: file.write_text('"word"'),
    "a link": link,
    "a pipe": pipe,
    "a folder": folder_instead,
}
OF_A_RUN = ["metrics.json", "config.yaml", ".hydra/hydra.yaml"]


@pytest.mark.parametrize("name", OF_A_RUN)
@pytest.mark.parametrize("damage", sorted(set(DAMAGES) - {"half of it"}))  # half of a YAML file is one
def test_a_run_with_a_damaged_file_has_failed_and_says_which_file_it_is(sweep, tmp_path, name, damage):
    before = read_sweep(sweep)
    DAMAGES[damage](sweep / "1" / name)
    found = read_sweep(sweep)
    assert [run.state for run in found.runs] == ["done", "failed", "done", "done"]
    assert str(sweep / "1" / name) in found.runs[1].reason
    assert "\n" not in found.runs[1].reason
    assert [run.metrics for run in found.done] == [before.runs[job].metrics for job in (0, 2, 3)]
    assert name in everything(sweep, tmp_path / "page.html")


@pytest.mark.parametrize("name", ["sweep.json", "pairs.json", "multirun.yaml"])
@pytest.mark.parametrize("damage", sorted(set(DAMAGES) - {"half of it"}))
def test_a_damaged_file_of_the_sweep_is_left_out_and_named(sweep, tmp_path, name, damage):
    (tmp_path / "elsewhere").write_text("")
    DAMAGES[damage](sweep / name)
    found = read_sweep(sweep)
    assert [run.state for run in found.runs] == ["done"] * 4
    (reason,) = found.damaged
    assert reason.startswith(str(sweep / name))
    assert reason in everything(sweep, tmp_path / "page.html").replace("&#39;", "'")


@pytest.mark.parametrize("damage", sorted(set(DAMAGES) - {"a word", "a list"}))
@pytest.mark.parametrize("name", ["predictions.csv", "plots/classes.png"])
def test_a_page_goes_without_a_damaged_table_or_picture_and_says_so(sweep, tmp_path, name, damage):
    DAMAGES[damage](sweep / "1" / name)
    text = write_page(read_sweep(sweep).ranked(), tmp_path / "page.html").read_text()
    whole = {"predictions.csv": 'class="matrix"', "plots/classes.png": "data:image/png"}[name]
    assert text.count(whole) == (2 * 3 if name == "predictions.csv" else 3)
    assert str(sweep / "1" / name) in text


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"success_rate": "0.9"}', "success_rate is 0.9 and no number"),
        ('{"success_rate": [0.9]}', "success_rate is [0.9] and no number"),
        ('{"success_rate": true}', "success_rate is True and no number"),
        ('{"success_rate": 1e308}', "success_rate is 1e+308, which is no score"),
        ('{"success_rate": 1%s}' % ("0" * 400), "which is no score"),
        ('{"success_rate": 1%s}' % ("0" * 6000), "digits"),
        ("[0.9]", "it holds no numbers by name"),
    ],
)
def test_scores_are_numbers(sweep, content, said):
    (sweep / "0" / "metrics.json").write_text(content)
    assert said in read_sweep(sweep).runs[0].reason


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan, None])
def test_a_score_that_is_not_finite_is_none(sweep, tmp_path, value):
    metrics = json.loads((sweep / "0" / "metrics.json").read_text())
    (sweep / "0" / "metrics.json").write_text(json.dumps(metrics | {"success_rate": value}))
    found = read_sweep(sweep).ranked()
    assert [run.name for run in found.runs] == ["1", "2", "3", "0"]
    assert "inf" not in report_text(found).split()
    everything(sweep, tmp_path / "page.html")


@pytest.mark.parametrize("ends", [(1e99, 1e99), (-1e100, 1e100), (0.1, 0.1 + 1e-16), (0, 5e-324), (1e9, 1e9)])
def test_ticks_of_any_scores(ends):
    ticks = nice_ticks(*ends)
    assert 1 <= len(ticks) <= 9
    assert all(map(math.isfinite, ticks))


def test_aliases_of_a_few_lines_that_stand_for_gigabytes_are_refused(sweep):
    bomb = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    bomb += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    (sweep / "2" / "config.yaml").write_text("\n".join(bomb))
    assert "aliases" in read_sweep(sweep).runs[2].reason


def test_a_picture_with_more_pixels_than_memory_is_not_decoded(sweep, tmp_path):
    file = sweep / "1" / "plots" / "classes.png"
    content = bytearray(file.read_bytes())
    content[16:24] = (60_000).to_bytes(4, "big") * 2  # width and height, which the header states
    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
    file.write_bytes(content)
    text = write_page(read_sweep(sweep).ranked(), tmp_path / "page.html").read_text()
    assert f"{file} " in text
    assert text.count("data:image/png") == 3


def test_words_of_others_are_shown_and_obeyed_nowhere(tmp_path):
    sweep = write_sweep(tmp_path / "a_sweep", {"model": ["simple", HOSTILE], "note": ["=1+1", "@a"]}, COUNTS)
    (sweep / "3" / "metrics.json").unlink()
    (sweep / "3" / "error.txt").write_text(HOSTILE + "\n\nTraceback")
    found = read_sweep(sweep).ranked()
    page = write_page(found, tmp_path / "page.html").read_text()
    assert page.count("<script>") == 1
    assert "&lt;script&gt;alert(1)" in page
    table = latex_table(found)
    assert "\\input" not in table
    assert r"\textbackslash{}input\{/etc/passwd\}" in table
    shown = everything(sweep, tmp_path / "page.html")
    assert not [sign for sign in shown if sign not in "\n" and not sign.isprintable()]
    rows = list(csv.DictReader(io.StringIO(csv_table(found))))
    assert not [cell for row in rows for cell in row.values() if cell.startswith(("=", "+", "-", "@"))]
    assert {unescaped(row["note"]) for row in rows} == {"=1+1", "@a"}
    result = command("hiexp.compare", "--sweep", "a_sweep", cwd=tmp_path)
    assert result.returncode == 0
    assert "\x1b" not in result.stdout
    assert "FAILED  3  <script>alert(1)</script> \\input{/etc/passwd} =1+1" in result.stdout


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain Größe ≈ 3 × α", "plain Größe ≈ 3 × α"),
        ("\x1b[31mred\x1b[0m \x9b1mbold", "red bold"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x07", "link"),
        ("a\r\nb\tc\x00d\x7f", "a b cd"),
        ("A\u202e1gpj.exe", "A1gpj.exe"),
        ("\x1b]never closed", "never closed"),
        ("\udcff", "\ufffd"),
    ],
)
def test_what_a_terminal_would_obey_is_taken_out(text, shown):
    assert printable(text) == shown
    assert printable("x" * 100, at_most=10) == "x" * 9 + "…"


@pytest.mark.slow
def test_the_command_says_what_is_damaged_in_lines(sweep, tmp_path):
    (sweep / "1" / "metrics.json").write_text("[]")
    (sweep / "sweep.json").write_text("{}")
    result = command("hiexp.compare", "--html", "a.html", "--csv", "/dev/stdout", cwd=tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    folder = sweep.relative_to(tmp_path)
    assert f"FAILED  1  {folder}/1/metrics.json is damaged: it holds no numbers" in result.stdout
    assert f"LEFT OUT  {folder}/sweep.json is damaged: measure Field required" in result.stdout
    assert "run,state,model,epochs" in result.stdout
    assert not list(tmp_path.glob(".*.partial"))


def test_settings_below_hydras_own_do_not_stand_for_them(sweep, tmp_path):
    before = [run.command for run in read_sweep(sweep).runs]
    for file in [sweep / "multirun.yaml", sweep / "0" / ".hydra" / "hydra.yaml"]:
        file.write_text(file.read_text() + "metrics:\n  job:\n    _target_: mine\n  overrides: 3\n")
    found = read_sweep(sweep)
    assert not found.damaged
    assert [(run.state, run.command) for run in found.runs] == [("done", command) for command in before]


def test_a_control_that_has_lost_its_settings_is_refused_by_name(tmp_path):
    grid = {"labels": ["random"], "labels.seed": [1], "epochs": [50, 80]}
    honest = write_sweep(tmp_path / "honest", {"labels": ["reference"], "epochs": [50, 80]}, COUNTS)
    control = write_sweep(tmp_path / "control", grid, COUNTS)
    for job in "01":
        (control / job / "config.yaml").unlink()
        text = (control / job / ".hydra" / "hydra.yaml").read_text()
        (control / job / ".hydra" / "hydra.yaml").write_text(text.replace("- labels.seed=1", ""))
    with pytest.raises(InputError, match=r"does not say its labels\.seed"):
        against_controls(read_sweep(honest).ranked(), [read_sweep(control)])
    for job in "01":
        (honest / job / "predictions.csv").write_text("id,split\n")
    with pytest.raises(InputError, match=r"predictions\.csv is damaged: it has no column reference"):
        against_controls(read_sweep(honest).ranked(), [read_sweep(control)])


def ended(folder):
    """Let a sweep come to its end in a folder, and return whether it says that all went well."""
    Sweep("x", None, None, (), 0.0).write(folder)
    return not Ending(folder, NoTracking(), Record("x"), begun=True, seed=0, n_draws=200, paired="model").finish()


def test_the_end_of_a_sweep_leaves_out_what_cannot_be_read_and_says_so(sweep, caplog):
    caplog.set_level(logging.INFO)
    assert ended(sweep)
    whole = json.loads((sweep / "sweep.json").read_text())
    (sweep / "0" / "predictions.csv").write_text("id,split,reference,label,predicted\na,test,0,0,x\n")
    assert ended(sweep)
    (warning,) = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert warning.startswith(f"Job 0 is left out of the verdict: {sweep / '0' / 'predictions.csv'} is damaged")
    found = json.loads((sweep / "sweep.json").read_text())
    assert len(whole["configurations"]) == 4
    assert {row["job"] for row in found["configurations"]} == {"1", "2", "3"}
    caplog.clear()
    (sweep / "1" / "metrics.json").write_text("")
    (sweep / "2" / ".hydra" / "hydra.yaml").write_text("a: [")
    assert not ended(sweep)
    said = caplog.records[-1].message
    assert "2 of 4 jobs done, 2 failed" in said
    assert "metrics.json is damaged: it is empty" in said
    assert "hydra.yaml is damaged" in said
    ranking = pd.read_csv(sweep / "ranking.csv")
    assert dict(zip(ranking["run"], ranking["state"], strict=True)) == {
        0: "done",
        1: "failed",
        2: "failed",
        3: "done",
    }
    assert not list(sweep.glob(".*partial*"))


def mutated(content, rng):
    """Return what a few faults make of a file."""
    kinds = ["cut", "flip", "insert", "number", "empty", "swap"]
    signs = [b"\x00", b"\xff", b"[", b"{", b"*", b"\x1b[2J", b"'", b"\n", b"&a "]
    numbers = [b"NaN", b"Infinity", b"-1e999", b"1e308", b"1e99", b"9" * 5000, b"null", b"-1", b"true", b"''"]
    content = bytearray(content)
    for _ in range(rng.randint(1, 4)):
        place = rng.randrange(len(content) + 1)
        match rng.choice(kinds):
            case "cut":
                del content[place:]
            case "flip" if place < len(content):
                content[place] ^= 1 << rng.randrange(8)
            case "insert":
                content[place:place] = rng.choice(signs)
            case "number":
                digits = [at for at, sign in enumerate(content) if chr(sign).isdigit()]
                if digits:
                    at = rng.choice(digits)
                    content[at : at + 1] = rng.choice(numbers)
            case "empty":
                content.clear()
            case "swap":
                other = rng.randrange(len(content) + 1)
                content[place:place] = content[other : other + 20]
    return bytes(content)


@pytest.mark.slow
def test_random_damage_ends_in_output_or_one_line(tmp_path, caplog):
    """Seeded and bounded: a copy of one sweep for each damage."""
    rng = random.Random(18)
    template = write_sweep(tmp_path / "template", SMALL, COUNTS)
    assert ended(template)
    files = [str(file.relative_to(template)) for file in sorted(template.rglob("*")) if file.is_file()]
    files = [name for name in files if not name.endswith(("sweep.html", "sweep.png", ".log"))]
    outcomes = {"shown": 0, "refused": 0}
    for number in range(100):
        sweep = tmp_path / f"s{number}"
        shutil.copytree(template, sweep)
        damaged = rng.sample(files, rng.randint(1, 3))
        for name in damaged:
            (sweep / name).write_bytes(mutated((sweep / name).read_bytes(), rng))
        try:
            text = everything(sweep, sweep / "page.html")
            assert not [sign for sign in text if sign != "\n" and not sign.isprintable()], damaged
            with_pairs(read_sweep(sweep).ranked(), "model", sweep)
            outcomes["shown"] += 1
        except InputError as error:
            assert "\n" not in str(error)
            outcomes["refused"] += 1
        except Exception as error:
            raise AssertionError(f"{number} {damaged}") from error
        if number % 20 == 0:
            caplog.clear()
            ended(sweep)
            assert "could not be recorded" not in caplog.text, damaged
        shutil.rmtree(sweep)
    assert outcomes["shown"] > 60
