"""Scores, baselines, intervals, tests between models, calibration."""
