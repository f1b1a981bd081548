"""Audio files: reading, checking, conversion to 16 kHz mono."""
