"""Checks before a training, and benchmarks of this machine."""
