"""Train, dev and test sets, and the guard against leakage."""
