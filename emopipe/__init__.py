"""emopipe: the DVC stages and the rooms they are built from."""

import os

# Threads that wait for each other sleep instead of spinning. Alone it costs nothing; beside another process on the
# same cores (a queue of experiments, a busy machine) a training step is three times as fast. OpenMP reads it once,
# when PyTorch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
