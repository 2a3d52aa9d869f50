"""The WebSocket endpoint: admission, the read loop, and the handlers of its requests."""
