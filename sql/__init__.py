"""The schema, its triggers and the named queries: the only judge of the rules. Layer 0."""
