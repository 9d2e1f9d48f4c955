"""Shape of what people type about the catalogue."""
