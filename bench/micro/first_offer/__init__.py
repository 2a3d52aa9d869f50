"""Funded → first offer on a socket, with 2,000 sessions, against a loop that asks one by one."""
