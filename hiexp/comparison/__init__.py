"""Many runs side by side: read from folders or MLflow, ranked, judged, shown."""
