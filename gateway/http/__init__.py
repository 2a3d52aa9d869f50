"""The REST handlers, one module per resource; `endpoint` is the way that every call takes."""
