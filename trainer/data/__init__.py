"""From shards to batches of latents."""
