"""The REST handlers, one module per resource; `calls` is what they have in common at the border."""
