"""Delivery: the registry of connected users, and the push of events and offer cards to them."""
