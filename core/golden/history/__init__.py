"""Every kept run found again, and how each case went over time."""
