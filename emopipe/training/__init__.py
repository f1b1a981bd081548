"""Training, of either branch: data, networks, optimiser, checkpoints, logging, cross-fitting."""
