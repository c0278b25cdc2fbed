"""Answers that a person has accepted, kept in a suite as files; what a run says otherwise waits to be reviewed."""
