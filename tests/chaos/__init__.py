"""A house under attack: real processes, a provider that misbehaves by plan, and a judge (docs/chaos.md).

Run by ``bin/chaos``; the small sizes run in the suite (``tests/test_chaos_*.py``).
"""
