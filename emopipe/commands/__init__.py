"""The commands of ``emopipe``."""
