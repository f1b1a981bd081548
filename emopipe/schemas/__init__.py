"""The tables that pass between stages, as typed rows: manifest, splits, predicted VAD, predictions."""
