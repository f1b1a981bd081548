"""Reading audio files that may be broken, and bringing them to 16 kHz mono."""
