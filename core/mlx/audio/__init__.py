"""Speech models and transcription models at work."""
