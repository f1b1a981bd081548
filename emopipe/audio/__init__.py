"""Pooling, heads, the encoded store and the trainable audio model."""
