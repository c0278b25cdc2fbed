"""Why two answers differ: where they part, whether that is more than noise, and how likely models find an answer."""
