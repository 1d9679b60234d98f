"""Rows and tables of errors and of differences."""
