"""Two answers to one case, judged by a person who is not told whose they are."""
