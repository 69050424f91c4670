"""Vector fields on surfaces: exact ones, meshes, brain waves on a head, and anyone's points."""

__all__: list[str] = []
