"""What all tests share: hypothesis runs the same examples everywhere."""

from hypothesis import settings

settings.register_profile("detnas", derandomize=True, deadline=None)
settings.load_profile("detnas")
