"""The WebSocket: messages, the session's pure protocol, and its I/O shell."""
