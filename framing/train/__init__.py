"""Examples to a bundle (the `train` extra)."""
