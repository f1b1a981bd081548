"""Publishing: a trained model where others find it."""
