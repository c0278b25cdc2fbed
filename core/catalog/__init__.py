"""Which models exist on this machine, told from their files alone: nothing here loads a weight or asks the network."""

from core.catalog.catalog import Catalog
from core.catalog.file_identity import fingerprint, identity, short
from core.catalog.model_info import Float32, MemoryEstimate, ModelInfo, ModelKind

__all__ = ["Catalog", "Float32", "MemoryEstimate", "ModelInfo", "ModelKind", "fingerprint", "identity", "short"]
