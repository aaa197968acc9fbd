"""The dataset tool of MMAIF: from clean pairs and a recipe to WebDataset shards."""
