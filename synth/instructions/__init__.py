"""From what was drawn to the sentence that asks for its target.

intent: what is asked · phrases (phrases.yaml), fitting: what is true of what, grammar: how it is said · sentences: a
user's own · describing: the neutral sentence of a record.
"""
