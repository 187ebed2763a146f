"""A year of messages of many clinic groups, for the benchmarks of the management pages."""
