"""What a person would feel, measured; docs/benchmarks.md says how to read it. Run by ``bin/bench``."""
