"""The simulated city of Marlow Bay, and recorded traces: people as ordinary outside clients."""
