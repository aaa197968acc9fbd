"""Who renders the shards of a run. Nothing else in the tool knows which of them does."""
