"""Units: metres and seconds inside, miles and minutes towards people."""

METRES_PER_MILE = 1609.344
EARTH_RADIUS_M = 6_371_008.7714  # mean radius (IUGG); the sphere differs from WGS84 by under 0.6 %


def metres(miles: float) -> float:
    """Converts miles to metres."""
    return miles * METRES_PER_MILE


def miles(metres: float) -> float:
    """Converts metres to miles."""
    return metres / METRES_PER_MILE


def metres_per_second(km_per_hour: float) -> float:
    """Converts km/h to m/s."""
    return km_per_hour / 3.6
