"""Everybody reconnects at once, and goes LIVE at once, against a plain `websockets` server."""
