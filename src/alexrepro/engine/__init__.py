"""Recipe, store and machine in; a run folder out."""
