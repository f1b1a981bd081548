"""One file per figure, one style."""
