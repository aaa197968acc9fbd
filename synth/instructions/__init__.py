"""From what was drawn to the sentence that asks for its target.

intent: what is asked · phrases (phrases.yaml), grammar: how it is said · sentences: a user's own.
"""
