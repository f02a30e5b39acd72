"""The page of an experiment in MLflow, as it opens from the address that a run prints at its end."""

from __future__ import annotations

import json

KEY = "hiexp"
STATE_TAG = f"mlflow.sharedViewState.{KEY}"  # of an experiment: where MLflow's pages look for the columns of a view
COLUMNS = (
    "attributes.`Dataset`",
    *(f"params.`{name}`" for name in ("dataset", "feature", "classifier", "model", "test_size")),
    *(f"metrics.`{name}`" for name in ("test/success_rate", "chance/chance_success_rate", "chance/p_success_rate")),
    *(f"metrics.`{name}`" for name in ("test/balanced_accuracy", "fit/median_chi2_dof")),
)
STATE = json.dumps(
    {
        "searchFilter": "",
        "orderByKey": "metrics.`test/success_rate`",
        "orderByAsc": False,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "modelVersionFilter": "All Runs",
        "datasetsFilter": [],
        "selectedColumns": COLUMNS,
        "runsExpanded": {},
    }
)


def page(server: str, experiment_id: str) -> str:
    """Return the address at which a server shows the runs of an experiment, best first, with their chance levels."""
    where = f"/#/experiments/{experiment_id}/runs?viewStateShareKey={KEY}&workflowType=machine_learning"
    return server.rstrip("/") + where
