"""Trained models as files that need no emopipe: one graph each, checked against the model that it was made from."""
