"""From what was drawn to the sentence that asks for its target.

intent: what is asked · grammar, phrases.yaml: how it is said · sentences: a user's own.
"""
