"""Fetching corpora that may be downloaded: once for all clones, verified before use."""
