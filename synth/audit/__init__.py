"""Looking at datasets: whether they are sound, what is in them, what they look like.

commands: verify, stats, preview and render, as they are typed · verify: a whole dataset · check_shard: one shard of it,
with tars (its bytes), records (against rows and recipe) and reader (sentences against what was drawn) · faults: what is
found · repair: broken shards made again · shown: samples for the eye · preview, page: as a sheet and as an HTML page ·
told: a record in words · stages: every step of one sample · chart: counts as a picture · text: words on pictures.
"""
