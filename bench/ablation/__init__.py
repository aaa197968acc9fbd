"""What each ingredient of the network is worth, at equal CPU time: `python -m bench.ablation --help`."""
