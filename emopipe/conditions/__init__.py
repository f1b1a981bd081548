"""What may happen to a recording before a model hears it: noise, codecs, rooms, channels, silence, other talkers."""
