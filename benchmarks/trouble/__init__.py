"""What `benchmarks/chaos.py` does to Rushes: kills, damage, garbage replies, spoiled recipes and odd folders.

Each module makes the cases of one kind of trouble and gives a verdict on each by a rule of its own, written here and
not taken from the code that it judges.
"""
