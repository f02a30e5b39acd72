"""Splits, scores and what the scores are worth."""
