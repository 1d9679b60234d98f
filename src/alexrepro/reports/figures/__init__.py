"""Curves, diagrams and filter grids."""
