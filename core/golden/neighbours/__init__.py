"""Other programs that evaluate models: what they read of ours, and what we read of theirs."""
