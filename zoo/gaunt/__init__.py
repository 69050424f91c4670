"""Gaunt tensor products (Luo, Chen and Krishnapriyan, ICLR 2024, arXiv 2401.10216)."""
