"""Findings to people."""
