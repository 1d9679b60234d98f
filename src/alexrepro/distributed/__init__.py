"""Ranks, their process group, collectives and launch."""
