"""Objectives: a loss and a sampler each."""
