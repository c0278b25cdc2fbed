"""Messages to what a model reads: tokens, image features, and the prompt's name in the prefix cache."""
