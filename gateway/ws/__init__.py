"""The WebSocket endpoint: admission, what is read from sockets, and the handlers of requests."""
