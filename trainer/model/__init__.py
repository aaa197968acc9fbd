"""The network and the fixed fusion that it starts from."""
