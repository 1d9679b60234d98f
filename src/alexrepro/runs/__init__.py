"""What a run leaves on disk: folder, checkpoints, evaluations, predictions. No torch."""
