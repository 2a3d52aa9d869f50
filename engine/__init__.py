"""What may happen and what it means: commands, views, scoring, money. Layer 1."""
