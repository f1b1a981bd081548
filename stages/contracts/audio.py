"""The form in which recordings pass from room to room: mono, at one rate."""

SAMPLE_RATE = 16_000  # Hz, what every backbone was trained on
