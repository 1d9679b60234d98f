"""What an epoch shows, and the batches that show it."""
