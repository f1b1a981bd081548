"""Who is trained on and who is tested on, and the guard against leakage."""
