"""One module per kind of object; each lists its operations for the router."""
