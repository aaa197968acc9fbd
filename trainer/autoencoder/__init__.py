"""Our own autoencoders, written as diffusers models."""
