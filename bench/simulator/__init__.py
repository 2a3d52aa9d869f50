"""A load simulator: hustlers and posters of an invented city or of recorded traces, as clients."""
