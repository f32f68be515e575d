"""How fast agentkit is, next to the loop one would write by hand: `python -m benchmarks`."""
