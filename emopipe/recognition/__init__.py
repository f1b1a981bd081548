"""The use of trained models: from recordings and texts to answers."""
