"""How good a fused image is: metrics against its sources and against a reference."""
