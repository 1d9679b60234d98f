"""One file per table, figure or claim of the paper; each defines EXPERIMENT."""
