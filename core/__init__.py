"""The engine and what it stands on; it knows no face."""

import os

os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"  # huggingface_hub reads it when it is imported, which is always later
