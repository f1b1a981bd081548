"""One file per picture, one style."""
