"""Pretrained audio encoders: one file per family behind one interface."""
