"""The error of this package for values that cannot be used."""


class SpaceError(ValueError):
    """An invalid space, architecture, budget, cost or table; the message names the value."""
