"""Training on a machine with a GPU that one has for minutes, and that nothing can be fetched from (docs/gpu.md)."""
