"""The ground truth of a pair: what a perfect fusion of the clean images is."""
