"""A model's figures taken on purpose: known prompts, alone and side by side, through the engine like every request."""
