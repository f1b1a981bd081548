"""Encoding: the frozen part of a backbone, run once, and the store of what it gives."""
