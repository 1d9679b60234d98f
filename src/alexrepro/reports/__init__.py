"""Finished runs in; tables, figures and pages out. Nothing here trains."""
