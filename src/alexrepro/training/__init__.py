"""The loop of §5, its state, optimizer, schedule and checks."""
