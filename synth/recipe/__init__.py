"""The recipe: the interface of the tool.

schema: what one may say, and what must fit together · file: found by path or name, read, its mistakes in one line ·
json_schema: the same for editors.
"""
