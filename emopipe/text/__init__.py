"""The text regressor from words to VAD, and its zero-shot baselines."""
