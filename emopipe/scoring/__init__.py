"""Metrics of classification and regression."""
