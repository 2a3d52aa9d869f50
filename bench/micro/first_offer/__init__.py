"""Funded → first card on a socket, against a service that looks for hustlers after the commit."""
