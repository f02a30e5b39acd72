"""Splits, scores and what the scores are worth."""

from hiexp.evaluation.scores import Scores, score
from hiexp.evaluation.split import split

__all__ = ["Scores", "score", "split"]
