"""Where runs are recorded: an MLflow store here, an MLflow server, records to be sent later, or nowhere."""

from hiexp.tracking.deferred import DeferredTracking
from hiexp.tracking.mlflow_store import MlflowTracking, NoTracking

__all__ = ["DeferredTracking", "MlflowTracking", "NoTracking"]
