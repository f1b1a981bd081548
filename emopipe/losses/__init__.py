"""Losses of classification and regression."""
