"""Named choices of every field of the paper, and how two of them differ. Standard library only."""
