"""Pure rendering of the desired state of one Environment: facts in, files out, no database, clock or network."""
