"""Where clean pairs come from."""
