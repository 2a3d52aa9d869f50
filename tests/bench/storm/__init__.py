"""The reconnect storm, small."""
