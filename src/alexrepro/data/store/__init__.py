"""A store on disk: decode, resize, write, read, verify."""
