"""The network: all of it on one page, in dit.py, and the parts that it is built of."""
