"""Authentication of callers: tokens, issuers, keys; and their rate limits."""
