"""Layer 0: the schema, its judges and the named queries. The only judge."""
