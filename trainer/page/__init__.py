"""The page in a browser: `trainer app`, over inference alone. gradio is imported by `layout` and `serve` only."""
