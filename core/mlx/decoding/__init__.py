"""One text or vision model at work: admission, prefill, the batch, and the events that come of its tokens."""
