"""The WebSocket sessions of one core beside their peers: `make bench-gateway`."""
