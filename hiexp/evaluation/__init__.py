"""Splits, scores and what the scores are worth."""

from hiexp.evaluation.groups import group_scores, stability
from hiexp.evaluation.scores import Scores, score
from hiexp.evaluation.split import split

__all__ = ["Scores", "group_scores", "score", "split", "stability"]
