"""The VAD regressor, its zero-shot baseline and the forest from VAD to emotion."""
