"""How commits and large files are called on the disk. Nothing of the Hub's is imported: the disk is read without it."""

import re

COMMIT = re.compile(r"[0-9a-f]{40}")
SHA256 = re.compile(r"[0-9a-f]{64}")
REF_BYTES = 1024
"""Of a file under refs, which holds a commit."""
