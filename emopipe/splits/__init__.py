"""Division of the utterances into train, dev and test, and prevention of leakage."""
