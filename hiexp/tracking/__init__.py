"""Where runs are recorded: an MLflow store here, an MLflow server, or nowhere."""

from hiexp.tracking.mlflow_store import MlflowTracking, NoTracking

__all__ = ["MlflowTracking", "NoTracking"]
