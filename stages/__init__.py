"""The DVC stages: small scripts over the library. ``python -m stages.NAME`` runs one."""
