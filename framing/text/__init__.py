"""Documents in: read, normalise, segment."""
