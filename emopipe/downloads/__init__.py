"""Downloads of corpora: once for all clones, verified before use."""
