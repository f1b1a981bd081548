"""One file per corpus: where it comes from, how its names and labels read."""
