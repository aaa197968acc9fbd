"""One sample, from a recipe and its pairs to pictures, a sentence and a record.

plan (which pairs, which shards) → draft (what is drawn before a picture is read) → inputs (the degraded pair, its way
through the effects in shot) → render (its target, with keeping for what is to stay; its sentence; its record).
degrade: the same way for one pair without a recipe.
"""
