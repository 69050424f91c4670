"""Where tests find things outside the package."""

from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]

_shared = REPOSITORY.parent / "shared"
SHARED: Path | None = _shared if _shared.is_dir() else None
"""Real data that may lie beside a checkout; tests that need it skip when it is absent."""
