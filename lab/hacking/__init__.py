"""A run that hacks its judge on purpose, and its honest twin, both watched: `python -m lab.hacking`."""
