"""The chat's face: its pane, what only it shows, and what it knows without a screen."""
