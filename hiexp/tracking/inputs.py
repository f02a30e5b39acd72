"""The samples that runs were made with, as MLflow lists and filters datasets."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlflow.entities import DatasetInput

CONTEXT = "mlflow.data.context"  # MLflow's tag


def sample(
    name: str, digest: str, source: Mapping[str, object], context: str, ids: Iterable[str]
) -> dict[str, object]:
    """Return what a record keeps of a sample, or of the part of it that was used for one thing.

    Parameters
    ----------
    name : str
        The member of the group ``dataset``.
    digest : str
        Fingerprint of the whole sample.
    source : mapping
        Settings of the dataset.
    context : str
        What it was used for: "train", "test".
    ids : iterable of str
        The objects.
    """
    objects = list(ids)
    told = hashlib.sha256("\n".join([digest, *objects]).encode()).hexdigest()[:8]
    return {"name": name, "digest": told, "source": json.dumps(source), "context": context, "size": len(objects)}


def dataset_inputs(samples: Sequence[Mapping[str, object]]) -> list[DatasetInput]:
    """Return what MLflow takes for the samples of a record."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    return [
        DatasetInput(
            Dataset(
                name=str(one["name"]),
                digest=str(one["digest"]),
                source_type="hiexp",
                source=str(one["source"]),
                profile=json.dumps({"num_rows": one["size"]}),
            ),
            tags=[InputTag(CONTEXT, str(one["context"]))],
        )
        for one in samples
    ]
