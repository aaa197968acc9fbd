"""One sample, from a recipe to its record.

plan: the pairs to draw from, and the shards · draft: what is drawn before a pair is read · shot: the one way of a pair
through its effects · inputs: the degraded pair · kept: targets that keep effects · record: all that was drawn ·
render: the whole of it, `render(plan, index)` · degrade: effects on a pair without a recipe.
"""
