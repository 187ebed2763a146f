"""What ours is measured against: the common way and the floor, on two small tables with no guarantees.

A Django project of its own (``benchmarks.lean.settings``), so that nothing of Agdar's weighs on it.
"""
