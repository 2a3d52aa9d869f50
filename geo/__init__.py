"""Geography: points, distances, cells, checks of a fix, and the presence of hustlers."""
