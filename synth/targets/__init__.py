"""The ground truth of a pair: what a perfect fusion of the clean images is.

target: by the recipe's order of preference · gradient: in closed form, by the rules of the pair's task (synth/tasks/) ·
network: a user's own · activity, focus, thermal, colour, poisson: what rules and closed form are made of.
"""
