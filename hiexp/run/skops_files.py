"""Files of skops (https://skops.readthedocs.io), written without skops.

To import skops is to import all of scikit-learn, and with it torch, which takes longer than a run without a network.
Most models consist of plain values, arrays and estimators, of which the format says the same as their attributes do.
Skops alone reads them, and says what may be built of a file.
"""

from __future__ import annotations

import io
import json
from dataclasses import is_dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
from sklearn.base import BaseEstimator

PROTOCOL = 2  # of the format; later versions of skops read the earlier ones, too


class NotPlainError(TypeError):
    """There is something that skops itself has to store."""


def dump_plain(model: BaseEstimator, file: Path) -> None:
    """Write an estimator that consists of estimators, collections, arrays of numbers or text, and what JSON has.

    Raises
    ------
    NotPlainError
        If it holds anything else; nothing is written then.
    """
    content = io.BytesIO()
    with ZipFile(content, "w") as packed:
        writer = _Writer(packed)
        schema = writer.node(model) | {"protocol": PROTOCOL, "_skops_version": version("skops")}
        packed.writestr("schema.json", json.dumps(schema, indent=2))
    file.write_bytes(content.getvalue())


class _Writer:
    def __init__(self, packed: ZipFile) -> None:
        self.packed = packed
        self.written: list[object] = []  # which keeps them, so that no two have the same id

    def node(self, value: object) -> dict[str, Any]:
        """Return what the schema says of a value, once its arrays are in the file."""
        self.written.append(value)
        return {**self._node(value), "__id__": id(value)}

    def _node(self, value: Any) -> dict[str, Any]:
        kind = type(value)
        named = {"__class__": kind.__name__, "__module__": kind.__module__}
        if value is None or kind in (bool, int, float, str):
            return {
                "__class__": "str",
                "__module__": "builtins",
                "__loader__": "JsonNode",
                "content": json.dumps(value),
                "is_json": True,
            }
        if kind is dict and all(type(key) is str for key in value):
            return named | {
                "__loader__": "DictNode",
                "content": {key: self.node(one) for key, one in value.items()},
                "key_types": self.node([str] * len(value)),
            }
        if kind in (list, tuple):
            loader = "ListNode" if kind is list else "TupleNode"
            return named | {"__loader__": loader, "content": [self.node(one) for one in value]}
        if value is str:
            return {"__class__": "str", "__module__": "builtins", "__loader__": "TypeNode"}
        if (kind is np.ndarray or isinstance(value, np.generic)) and not value.dtype.hasobject:
            name, array = f"{id(value)}.npy", io.BytesIO()
            np.save(array, value, allow_pickle=False)
            if name not in self.packed.NameToInfo:
                self.packed.writestr(name, array.getbuffer())
            return named | {"__loader__": "NdArrayNode", "type": "numpy", "file": name}
        if (isinstance(value, BaseEstimator) or is_dataclass(kind)) and kind.__reduce__ is object.__reduce__:
            return named | {"__loader__": "ObjectNode", "content": self.node(value.__getstate__())}
        if named == {"__class__": "Tree", "__module__": "sklearn.tree._tree"}:
            _, arguments, state = value.__reduce__()
            reduced = {"args": self.node(arguments)}
            return named | {"__loader__": "TreeNode", "__reduce__": reduced, "content": self.node(state)}
        raise NotPlainError(kind.__qualname__)
