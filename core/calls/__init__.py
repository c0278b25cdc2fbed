"""One call of the engine: what goes in, the handle that comes back, what comes out of it, and what is refused."""
