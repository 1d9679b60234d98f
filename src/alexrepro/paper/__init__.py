"""What was written and what was run in 2012: networks, training, results. Standard library only."""
