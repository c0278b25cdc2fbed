"""The golden prompts' face: its pane, and what it knows without a screen."""
