"""Splits, scores and what the scores are worth."""

from hiexp.evaluation.dependence import catalogue_parameters, dependence, medians_by_class
from hiexp.evaluation.groups import group_scores, stability
from hiexp.evaluation.scores import Scores, score
from hiexp.evaluation.selection import SweepVerdict, judge_sweep
from hiexp.evaluation.split import Division, RepeatedFolds, split

__all__ = [
    "Division",
    "RepeatedFolds",
    "Scores",
    "SweepVerdict",
    "catalogue_parameters",
    "dependence",
    "group_scores",
    "judge_sweep",
    "medians_by_class",
    "score",
    "split",
    "stability",
]
