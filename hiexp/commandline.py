"""From the shell to a command: what becomes of the words typed, of errors in them, and of signals."""

from __future__ import annotations

import difflib
import inspect
import json
import os
import re
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hydra.errors import (
    ConfigCompositionException,
    HydraException,
    MissingConfigException,
    OverrideParseException,
)
from omegaconf import OmegaConf
from omegaconf.errors import InterpolationResolutionError

from hiexp.configs import ARCHIVES, CONFIGS
from hiexp.errors import InputError
from hiexp.garbage import spare_imports
from hiexp.hydra_versions import VERSION_BASE, silence_whitelist_warnings
from hiexp.nested import leaves
from hiexp.signals import ended_by_signals
from hiexp.tracking.credentials import redacted, take_credentials

TRACES = "HYDRA_FULL_ERROR"  # set by users who want to see where an error comes from
OF_THE_RUN = ("fit", "feature", "classifier", "model", "labels")  # groups that a prediction does not choose
PRESETS = ("experiment", "search", "debug")  # groups that may set any key; the last one typed takes precedence
LISTS = ("export", "ids")  # keys whose values are lists of words
BRIEF = "HIEXP_BRIEF_ERRORS"  # set by `start` for all others, in the processes of a sweep, too


def start(command: Callable[[], object]) -> None:
    """Run a command with the words in ``sys.argv``; what a user can fix ends it with one line and the status 1.

    Parameters
    ----------
    command : callable
        Reads ``sys.argv`` itself.
    """
    spare_imports()
    with ended_by_signals():
        silence_whitelist_warnings()
        if TRACES not in os.environ:
            os.environ |= {TRACES: "1", BRIEF: "1"}  # Hydra then hands on what it would print
        try:
            _refuse_folder()
            sys.argv[1:] = _with_debug_last([_prepared(word) for word in sys.argv[1:]])
            command()
        except Exception as error:
            message = message_of(error)
            if BRIEF not in os.environ or message is None:
                raise
            sys.exit(redacted(message))


def message_of(error: Exception) -> str | None:
    """Return in one line what is wrong with a command and what to do; None where the fault is the code's."""
    first = str(error).partition("\n")[0]
    match error:
        case InputError():
            return str(error)
        case OverrideParseException():
            return f"{error.override}: {_how_to_quote(error.override)}"
        case MissingConfigException() if error.options:
            group, _, name = (error.missing_cfg_file or "").rpartition("/")
            like = difflib.get_close_matches(name, error.options, n=1, cutoff=0.6)
            return f"{group}={name}: {f'do you mean {like[0]}? ' if like else ''}there are {', '.join(error.options)}"
        case ConfigCompositionException() if "Could not override" in first:
            return _unknown_key(first.split("'")[1])
        case ConfigCompositionException() if "Ambiguous" in first:
            word = first.partition("'")[2].rpartition("'")[0]
            return f"{word}: several values are a sweep, asked for by -m as the first word; a list has [brackets]"
        case ConfigCompositionException() if there := re.search(
            "item is already at '(.+)'|Multiple values for (.+?)\\.", first
        ):
            return f"{there[1] or there[2]}: it is there already; leave out the +"
        case InterpolationResolutionError():
            return f"{error.full_key}: {first}; correct what it refers to"
        case HydraException():
            cause = str(error.__cause__ or "").partition("\n")[0]
            return f"{first}: {cause}" if cause else first
    absent = [word.removesuffix("=null") for word in sys.argv if word.endswith("=null")]
    if "override must be a string" in first and absent:
        return f"{absent[0]}=null: a group is left out by  ~{absent[0]}"
    if isinstance(error, ValueError | AssertionError) and re.search("/(hydra|omegaconf)/", _raised_in(error)):
        return f"{shlex.join(sys.argv[1:])}: {first or 'not understood'}; see --help for examples"
    return None


def words_typed(overrides: Sequence[str]) -> list[str]:
    """Return the words in one of Hydra's lists as they were typed, with each ``${...}``."""
    plain: Any = OmegaConf.to_container(overrides, resolve=False) if OmegaConf.is_config(overrides) else overrides
    return list(plain)


def quoted(value: str) -> str:
    """Return a value as Hydra's grammar takes it: in quotes, unless it is plain."""
    if re.fullmatch(r"[\w./-]+", value):
        return value
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _how_to_quote(word: str) -> str:
    """Say how a word is written that Hydra's grammar does not take as it is."""
    key, equals, value = word.partition("=")
    if not equals or not re.fullmatch(r"[+~\w./@:-]+", key):
        return "a word is key=value, group=member, +key=value for a new key or ~key to remove one"
    plain = quoted(value.strip("'\""))
    return f"this value needs quotes of its own, inside those of the shell: {shlex.quote(f'{key}={plain}')}"


def _unknown_key(key: str) -> str:
    """Say that there is no such key or group, and which one is like it."""
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    command = Path(sys.argv[0]).stem
    if key.startswith("hydra."):
        of_joblib = "; hydra.launcher.n_jobs needs hydra/launcher=joblib" if key.startswith("hydra.launcher.") else ""
        return f"{key}: there is no such key; --cfg hydra shows those of Hydra{of_joblib}"
    if key in PRESETS:
        return f"{key}: a preset is added to the rest, by +{key}=NAME"
    if command == "predict" and key.partition(".")[0] in OF_THE_RUN:
        return f"{key}: hiexp.predict takes {', '.join(OF_THE_RUN)} as the run has them; for others train another run"
    if (CONFIGS / key).is_dir():
        return f"{key}: hiexp.{command} has no such group; --help lists those it has"
    folder = CONFIGS if (CONFIGS / f"{command}.yaml").exists() else ARCHIVES
    GlobalHydra.instance().clear()
    groups = [word for word in sys.argv[1:] if (folder / f"{word.lstrip('+').replace('=', '/', 1)}.yaml").is_file()]
    with initialize_config_dir(str(folder.absolute()), **VERSION_BASE):
        known = dict(leaves(OmegaConf.to_container(compose(command, overrides=groups), resolve=False)))
    known |= {".".join(name.split(".")[:depth]): 0 for name in known for depth in range(1, name.count(".") + 1)}
    like = difflib.get_close_matches(key, known, n=1, cutoff=0.6)
    parent = key.rpartition(".")[0]
    target = f"{parent}._target_"
    if like and like[0] in (parent, target):
        like = []
    if not like and target in known and _takes(str(known[target]), key):
        return f"{key}: not among the keys of {parent}; what its {known[target]} takes beside them: +{key}="
    return f"{key}: there is no such key" + (f"; do you mean {like[0]}?" if like else "; --cfg job shows all of them")


def _takes(target: str, key: str) -> bool:
    """Tell whether what `target` names has a parameter of the last name in `key`."""
    from hydra.utils import get_object

    return key.rpartition(".")[2] in inspect.signature(get_object(target)).parameters


def _raised_in(error: BaseException) -> str:
    """Return the file whose code has raised an error."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "" if trace is None else trace.tb_frame.f_code.co_filename


def _prepared(word: str) -> str:
    """Return a word with ``~`` as the home folder, which shells leave alone after ``=``, and without a password.

    Tags of a run need no ``+``. Names of objects and forms of export are lists, which need no brackets or
    quotes and are no sweep.
    """
    if found := re.fullmatch(rf"({'|'.join(LISTS)})=(?!null$)\[?([^\[\]{{}}\"']+)\]?", word):
        return f"{found[1]}=[{','.join(json.dumps(one.strip()) for one in found[2].split(','))}]"
    word = re.sub(r"^(?=tracking\.tags(\.\w+)?=)", "++", word)  # of which the settings cannot know the names
    word = re.sub(r"(?<==)~(?=/|$)", lambda _: str(Path.home()), word, count=1)
    return take_credentials(word)


def _with_debug_last(words: Sequence[str]) -> list[str]:
    """Return words with ``+debug=`` as the last of the presets, which takes precedence over those before it."""
    presets = [word for word in words if re.match(rf"\+({'|'.join(PRESETS)})=", word)]
    ordered = iter(sorted(presets, key=lambda word: word.startswith("+debug=")))
    return [next(ordered) if word in presets else word for word in words]


def _refuse_folder() -> None:
    """Raise an `InputError` where nothing can be done in the working folder."""
    try:
        here = str(Path.cwd())
    except FileNotFoundError as error:
        raise InputError("the folder in which this is typed has been deleted; change to another one") from error
    if "${" in here:
        raise InputError(f"{here}: Hydra reads '${{' in the name of a working folder as its own; rename the folder")
