"""Samples on disk: shards, their sidecars, and what a dataset says of itself.

generate: what is missing of a dataset, made, mended or closed by an engine that it is given · shards: a tar and its
sidecar, written and read · description: dataset.json, and whether a place holds this dataset · stats: what is in it,
counted · card: README.md beside the shards.
"""
