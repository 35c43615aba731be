"""One hypothesis profile for all tests: the same examples on every run, and no clock."""

from hypothesis import settings

settings.register_profile("labelcut", deadline=None, derandomize=True, database=None)
settings.load_profile("labelcut")
