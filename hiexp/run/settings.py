"""Settings are held against what reads them, before anything is computed.

What a setting may be stands where it is read: in the annotations of the function or class that a group's ``_target_``
names, in scikit-learn's own constraints, or, of what no one callable reads, in the classes below.
"""

from __future__ import annotations

import difflib
import functools
import inspect
import pkgutil
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass
from typing import Any, Literal, Unpack, get_args, get_origin, get_type_hints

from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError

from hiexp.configs import CONFIGS
from hiexp.errors import InputError, SeveralFaultsError
from hiexp.evaluation.metrics import INNER, METRICS, OF_SCORES
from hiexp.evaluation.objective import Objective
from hiexp.kinds import Count, Device, InnerFraction, Name, NotNegative, Positive, Seed, Several, Whole, describe
from hiexp.run.files import PICTURES
from hiexp.run.trained import takes_model, trained_run

REFERENCE = re.compile(r"\$\{(?:oc\.select:)?([\w.]+)(?:,null)?\}")


class Member:
    """What a group's member says: a ``_target_`` and the arguments of it."""


class Functions:
    """Functions by names of the user's own, which are called later, when there is something to call them with."""


@dataclass(frozen=True)
class EvaluationSettings:
    """The group ``evaluation``, which is no one callable's."""

    splitter: Member
    permutations: Count
    parameters: Sequence[str]
    yardstick: Member | None = None
    split: Literal["random", "given"] = "random"
    groups: str | None = None
    validation: Member | None = None


@dataclass(frozen=True)
class SweepSettings:
    """What all jobs of a sweep have in common."""

    detach: bool


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """What every command has that reads a sample."""

    dataset: Member
    cache: Member
    tracking: Member
    seed: Seed
    device: Device
    root: str
    experiment_name: Name
    sweep: SweepSettings
    limit: Count | None = None
    pdf: bool | None = None
    profile: bool = False
    dry_run: bool = False


@dataclass(frozen=True, kw_only=True)
class SampleSettings(RunSettings):
    """What `FitSettings` and `TrainSettings` share."""

    fit: Member
    measurements: Member | None = None
    asymmetry: Member | None = None


@dataclass(frozen=True, kw_only=True)
class FitSettings(SampleSettings):
    """``conf/fit.yaml``."""

    shards: Count | None
    export: Sequence[Literal["latex", "csv", "mrt", "votable", "pdf"]]
    ids: Sequence[str] | None


@dataclass(frozen=True, kw_only=True)
class TrainSettings(SampleSettings):
    """``conf/train.yaml``."""

    feature: Member
    clusterer: Member
    labels: Member
    classifier: Member
    model: Member
    trainer: Member
    evaluation: EvaluationSettings
    test_size: InnerFraction | Count
    random_state: Seed
    epochs: Count
    n_classes: Several
    schedule: Member | None = None
    metrics: Functions | None = None
    pictures: Functions | None = None
    transfer: bool = False
    objective: Objective | None = None


@dataclass(frozen=True, kw_only=True)
class PredictSettings(RunSettings):
    """``conf/predict.yaml``."""

    run: Name
    trust: Sequence[str]
    permutations: Count
    parameters: Sequence[str]


@dataclass(frozen=True)
class SyncSettings:
    """``conf/sync.yaml``."""

    root: str
    runs: str
    uri: str | None
    experiment_name: Name


@dataclass(frozen=True)
class FolderSettings:
    """The group ``dataset`` of a download."""

    path: str


@dataclass(frozen=True)
class DownloadSettings:
    """``hiexp/archives/conf/download.yaml`` and the members of its group."""

    dataset: FolderSettings
    url: str
    tables: Sequence[str] | None
    spectra: Member
    next: str
    connections: Count
    retries: Whole
    pause: NotNegative
    timeout: Positive
    largest: Count
    by_hand: str = ""


@dataclass(frozen=True)
class DaskClusterSettings:
    """What Dask's clusters have in common; their own signatures do not say what it may be."""

    n_workers: Whole | None = None
    threads_per_worker: Count | None = None
    cores: Count | None = None
    processes: Count | None = None


LAUNCHER = "hydra.launcher.executor"
OF_HIEXP = (
    *(*OF_SCORES, INNER, "p_", "n_", "precision_", "recall_", "epsilon2_", "information_"),
    *("yardstick_", "learned_yardstick_", "cluster_", "transfer_"),
)
COLUMNS = ("run", "state", "reason", "job", "command", "folder")  # of rankings, beside settings and scores

SCHEMAS = {
    "fit": FitSettings,
    "train": TrainSettings,
    "predict": PredictSettings,
    "sync": SyncSettings,
    "download": DownloadSettings,
}


def check_settings(cfg: DictConfig, command: str) -> None:
    """Refuse settings that nothing reads, that are missing, or that are not what their reader takes: all of them.

    Parameters
    ----------
    cfg : DictConfig
        The composed configuration of a command, without Hydra's own part.
    command : str
        One of `SCHEMAS`.

    Raises
    ------
    InputError
        A line for each, with the key, its value and what is allowed; also where the run that they name is none.
    """
    try:
        missing = sorted(OmegaConf.missing_keys(cfg))
        if missing:
            members = sorted(file.stem for file in (CONFIGS / missing[0]).glob("*.yaml"))
            one_of = f", one of {', '.join(members)}" if members else ""
            raise InputError(f"{missing[0]} is not set; add {missing[0]}=... to the command{one_of}")
        raw, settings = (OmegaConf.to_container(cfg, resolve=resolve) for resolve in (False, True))
    except OmegaConfBaseException as error:
        reason = str(error).partition("\n")[0]
        raise InputError(f"{error.full_key or 'settings'}: {reason}; correct what it refers to") from error
    _check_settings_class("", settings, raw, SCHEMAS[command], _references(raw))
    if takes_model(cfg):
        trained_run(cfg)


def check_member(key: str, node: Mapping) -> None:
    """Refuse settings of one group's member, resolved, that its ``_target_`` does not take.

    Parameters
    ----------
    key : str
        What messages call the group.
    node : mapping
        The member.

    Raises
    ------
    InputError
        In one line, with the key, its value and what is allowed.
    """
    _check_member(key, node, node, set())


def check_launcher(launcher: DictConfig) -> None:
    """Refuse settings of how jobs are started that nothing takes.

    Parameters
    ----------
    launcher : DictConfig
        A member of the group ``hydra/launcher``.

    Raises
    ------
    InputError
        In one line, with the key, its value and what is allowed.
    """
    n_workers = launcher.get("n_jobs", 1)
    if not isinstance(n_workers, int) or n_workers == 0:
        raise InputError(f"hydra.launcher.n_jobs={n_workers}: give a number of processes; -1: one a core")
    if "executor" not in launcher.keys():  # noqa: SIM118  what is null is not "in" it
        return
    missing = sorted(OmegaConf.missing_keys(launcher))
    if missing:
        raise InputError(f"{missing[0]} is not set; add {missing[0]}=... to the command")
    settings: Any = OmegaConf.to_container(launcher, resolve=True)
    node = settings["executor"]
    if not isinstance(node, Mapping) or "_target_" not in node:
        raise InputError(f"{LAUNCHER}={_shown(node)}: give settings that have a _target_")
    check_member(LAUNCHER, node)
    if isinstance(cluster := node.get("cluster"), Mapping):
        hints = _hints_of_class(DaskClusterSettings)
        common = {name: value for name, value in cluster.items() if name in hints}
        _check_keys(f"{LAUNCHER}.cluster.", common, cluster, hints, set())
        if cluster.get("n_workers") == 0 and not node.get("adapt"):
            raise InputError(
                f"{LAUNCHER}.cluster.n_workers=0: there would be no worker; give one or more, or {LAUNCHER}.adapt"
            )


def _check_keys(prefix: str, node: Mapping, raw: object, hints: Mapping[str, object], read: set[str]) -> None:
    """Check the keys of a mapping, plain values before groups, which may refer to them.

    A group that refers to a value that cannot be is not looked at.

    Parameters
    ----------
    prefix : str
        Prefix of their dotted keys.
    node, raw : mapping
        The values, resolved and as they are written.
    hints : mapping
        What is known of each key that may be there.
    read : set of str
        Dotted keys that other settings refer to.
    """
    faults: dict[str, InputError] = {}
    for name, value in sorted(node.items(), key=lambda item: isinstance(item[1], Mapping)):
        key = f"{prefix}{name}"
        written = raw.get(name) if isinstance(raw, Mapping) else None
        if isinstance(value, Mapping) and _references(written) & faults.keys():
            continue
        try:
            if name in hints:
                refers = REFERENCE.fullmatch(written) if isinstance(written, str) else None
                # What is wrong is told under the key that somebody has set.
                _check(refers[1] if refers else key, value, written, hints[name], read)
            elif key not in read:
                raise _unknown(key, value, [f"{prefix}{known}" for known in hints])
        except InputError as fault:
            faults[key] = fault
    if len(faults) > 1:
        raise SeveralFaultsError(line for error in faults.values() for line in str(error).split("\n"))
    for error in faults.values():
        raise error


def _references(raw: object) -> set[str]:
    """Return the dotted keys that settings, as they are written, refer to."""
    return {name for value in _values(raw) for name in REFERENCE.findall(str(value))}


def _check_settings_class(prefix: str, node: Any, raw: object, kind: Any, read: set[str]) -> None:
    """Check a mapping against a class of settings: every key without a default has to be there."""
    _check_present(prefix, node, [one.name for one in fields(kind) if one.default is MISSING])
    _check_keys(prefix, node, raw, _hints_of_class(kind), read)


def _check_present(prefix: str, node: Mapping, wanted: Sequence[str]) -> None:
    for name in wanted:
        if name not in node:
            raise InputError(f"{prefix}{name} is not there; leave out what removes it (~{prefix}{name})")


def _check(key: str, value: Any, raw: object, hint: Any, read: set[str]) -> None:
    """Check one value, and what it has inside."""
    if value is None and hint in (Member | None, Functions | None):
        return
    if hint == Functions | None:
        _check_functions(key, value, raw, read)
    elif isinstance(value, Mapping) and "_target_" in value:
        _check_member(key, value, raw, read)
    elif hint in (Member, Member | None) or (is_dataclass(hint) and not isinstance(value, Mapping)):
        raise InputError(f"{key}={_shown(value)}: a group has settings of its own; choose a member of it, see --help")
    elif is_dataclass(hint):
        _check_settings_class(f"{key}.", value, raw, hint, read)
    elif _has_target(value):
        for place, one in enumerate(value):
            inner = raw[place] if isinstance(raw, list) else None
            _check(f"{key}.{place}", one, inner, Any, read)
    else:
        _check_value(key, value, hint)


def _check_member(key: str, node: Mapping, raw: object, read: set[str]) -> None:
    """Check the settings of what names a callable."""
    target = _target(key, node["_target_"])
    hints, open_ended = _hints(target)
    if not node.get("_partial_") and "_args_" not in node:
        _check_present(f"{key}.", node, _without_default(target))
    own = {name: value for name, value in node.items() if not re.fullmatch("_.*_", str(name))}
    if open_ended:
        own = {name: value for name, value in own.items() if name in hints}
    _check_keys(f"{key}.", own, raw, hints, read)
    _check_estimator(key, node, target)


def _check_functions(key: str, node: object, raw: object, read: set[str]) -> None:
    """Check functions by their names, which become those of numbers and files."""
    if not isinstance(node, Mapping) or not all(
        isinstance(one, Mapping) and "_target_" in one for one in node.values()
    ):
        raise InputError(f"{key}={_shown(node)}: give a name to each function, with its _target_ below that name")
    for name in node:
        if not re.fullmatch("[A-Za-z][A-Za-z0-9_]*", str(name)):
            raise InputError(f"{key}.{name}: give a name of letters, digits and _, which begins with a letter")
        if _is_of_hiexp(key, str(name)):
            raise InputError(f"{key}.{name}: hiexp has one of this name; choose another")
    later = {name: member | {"_partial_": True} for name, member in node.items()}
    _check_keys(f"{key}.", later, raw, dict.fromkeys(node, Member), read)


def _is_of_hiexp(key: str, name: str) -> bool:
    """Return whether hiexp has a picture, a number or a column of a name."""
    if key == "pictures":
        return name in PICTURES
    known = (*METRICS, *COLUMNS, *(one.name for one in fields(TrainSettings)))
    return name in known or name.startswith(OF_HIEXP) or "_minus_" in name


def _has_target(value: object) -> bool:
    """Return whether there is a callable named anywhere in a list."""
    return isinstance(value, list) and any(
        _has_target(one) or (isinstance(one, Mapping) and "_target_" in one) for one in value
    )


def _check_value(key: str, value: object, hint: Any) -> None:
    try:
        _adapter(hint).validate_python(value, strict=True)
    except ValidationError as error:
        # The innermost key of a mapping, where the fault is there.
        inside = [str(place) for place in error.errors()[0]["loc"]]
        if isinstance(value, Mapping) and inside and inside[0] in value:
            key, value, hint = f"{key}.{inside[0]}", value[inside[0]], _of_values(hint)
        raise InputError(f"{key}={_shown(value)}: give {describe(hint)}") from error
    except PydanticUserError:  # an annotation of a library that says nothing of plain values
        return


def _adapter(hint: Any) -> TypeAdapter:
    """Return what checks values of an annotation; made once where the annotation can be looked up."""
    try:
        return _known_adapter(hint)
    except TypeError:  # not hashable
        return TypeAdapter(hint)


@functools.cache
def _known_adapter(hint: Any) -> TypeAdapter:
    return TypeAdapter(hint)


def _of_values(hint: object) -> object:
    """Return what the values of a mapping may be."""
    for one in (hint, *get_args(hint)):
        if inspect.isclass(get_origin(one)) and issubclass(get_origin(one), Mapping):
            return get_args(one)[1]
    return Any


def _shown(value: object) -> str:
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _check_estimator(key: str, node: Mapping, target: Callable) -> None:
    """Let scikit-learn say what it thinks of the settings of an estimator of its own; it would in ``fit``, later."""
    if not (inspect.isclass(target) and target.__module__.startswith("sklearn.")):
        return
    try:
        estimator = instantiate(node, _convert_="all")
        if hasattr(estimator, "_parameter_constraints"):  # no public way before fit (scikit-learn 1.8)
            estimator._validate_params()
    except Exception as error:  # of any estimator's constructor
        named = re.search(r"'(\w+)' parameter", str(error))
        place = f"{key}.{named[1]}" if named else key
        raise InputError(f"{place}: {str(error).partition(chr(10))[0]}") from error


def _target(key: str, name: object) -> Callable:
    try:
        return pkgutil.resolve_name(str(name))
    except Exception as error:  # of whatever a module does when it is imported
        raise InputError(
            f"{key}._target_={name}: cannot be imported ({str(error).partition(chr(10))[0]}); is it in the folder "
            "where you type, or installed?"
        ) from error


def _hints(target: Callable) -> tuple[dict[str, object], bool]:
    """Return the arguments of a callable with their annotations, and whether it takes others, too."""
    try:
        signature = inspect.signature(target)
    except (ValueError, TypeError):  # compiled code of a library
        return {}, True
    # Annotations mean what they do where they are written, which for a class may be in a parent.
    written = inspect.unwrap(target.__init__ if inspect.isclass(target) else target)
    module = getattr(written, "__globals__", {})
    hints: dict[str, object] = {}
    open_ended = False
    for name, parameter in signature.parameters.items():
        if parameter.kind == parameter.VAR_KEYWORD:
            named = _evaluated(parameter.annotation, module)
            if get_origin(named) is Unpack:  # of a TypedDict
                hints |= get_type_hints(get_args(named)[0], include_extras=True)
            else:
                open_ended = True
        elif parameter.kind != parameter.VAR_POSITIONAL:
            hints[name] = _evaluated(parameter.annotation, module)
    return hints, open_ended


def _without_default(target: Callable) -> list[str]:
    """Return the arguments that a callable has to be given; a network is told some of them when it is made."""
    told = ("image_shape", "n_classes") if hasattr(target, "state_dict") else ()
    try:
        parameters = inspect.signature(target).parameters.values()
    except (ValueError, TypeError):  # compiled code of a library
        return []
    return [
        one.name
        for one in parameters
        if one.default is one.empty and one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD) and one.name not in told
    ]


def _hints_of_class(kind: type) -> dict[str, object]:
    module = vars(sys.modules[kind.__module__])
    return {one.name: _evaluated(one.type, module) for one in fields(kind)}


def _evaluated(annotation: object, module: Mapping[str, object]) -> object:
    if annotation is inspect.Parameter.empty:
        return Any
    if not isinstance(annotation, str):
        return annotation
    try:
        return eval(annotation, dict(module))  # written in the source of the target, which is about to be called
    except Exception:  # a name that is imported for type checkers alone
        return Any


def _unknown(key: str, value: object, known: Sequence[str]) -> InputError:
    like = difflib.get_close_matches(key, known, n=1, cutoff=0.6)
    hint = f"do you mean {like[0]}?" if like else f"there are {', '.join(known)}"
    return InputError(f"{key}={_shown(value)}: nothing reads this key; {hint}")


def _values(node: object) -> Iterator[object]:
    """Yield every value of nested settings."""
    if isinstance(node, Mapping):
        for child in node.values():
            yield from _values(child)
    elif isinstance(node, list):
        for child in node:
            yield from _values(child)
    else:
        yield node
