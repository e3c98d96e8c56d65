"""Labels to findings."""
