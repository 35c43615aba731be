"""``python -m labelcut``."""

from .cli import main

main()
