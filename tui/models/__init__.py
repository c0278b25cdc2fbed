"""The models' face: its pane, and what it knows without a screen."""
