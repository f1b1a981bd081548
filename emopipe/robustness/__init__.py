"""The robustness of an audio model: its answers for the test set under conditions, and how they are scored."""
