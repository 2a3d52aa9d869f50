"""Where things are: points, distances, cells, checks of a fix, and who is present where."""
