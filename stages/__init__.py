"""The DVC stages: small scripts over the library. ``python -m stages.NAME`` runs one."""

import gc

# The objects that an import makes all stay, and looking through them again and again takes a fifth of the time that
# PyTorch and Transformers need.
gc.set_threshold(50_000)
