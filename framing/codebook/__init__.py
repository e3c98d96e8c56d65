"""What to look for: the label scheme as data."""
