"""From image files to batches: sources, the store, the loader."""
