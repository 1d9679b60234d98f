"""From image files to batches: sources, decoding, the store, views, the feed."""
