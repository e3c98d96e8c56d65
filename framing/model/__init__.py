"""Text to calibrated probabilities: bundles, encoders, evidence."""
