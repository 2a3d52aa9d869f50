"""Who calls: tokens, issuers, keys."""
