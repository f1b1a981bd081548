"""The random forest from VAD to emotion."""
