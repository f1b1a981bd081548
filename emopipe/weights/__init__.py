"""Weight files: found, verified and loaded without tolerance."""
