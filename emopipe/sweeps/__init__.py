"""Sweeps: many runs of the pipeline, on this machine or on a cluster, each of which ends as an experiment of DVC."""
