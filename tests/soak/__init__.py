"""`python -m tests.soak --minutes N`: a server under mixed load with every fault, and what became of it over time."""
