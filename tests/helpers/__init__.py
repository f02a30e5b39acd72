"""What tests share: the real commands, configurations, lines with known truth, sweeps as they lie on disk."""
