"""Inference on a split of a store, exact counts, ensembles, predictions, nearest neighbors."""
