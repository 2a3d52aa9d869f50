"""Positions of hustlers: believed, kept present, shown to posters, missed."""
