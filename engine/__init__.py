"""The domain rules: commands, views, scoring and money. Layer 1."""
