"""emopipe: the DVC stages and the rooms they are built from."""
