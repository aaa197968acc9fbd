"""`trainer encode`: shards of pictures to shards of latents, as shards/FORMAT.md has them."""
