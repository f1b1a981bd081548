"""Tests of what a model that scores well may still get wrong, and of what its data gives away."""
