"""Eigenzoo's models: one method with a spectrum at its heart per folder.

Importing this package is cheap: torch comes with the first network, Lightning with the first module.

Example:
    >>> import zoo
    >>> "spe-gine" in zoo.list_models("spe*")
    True
"""

from zoo.registry import get_module_class, get_network, list_methods, list_models, list_modules

__all__ = ["get_module_class", "get_network", "list_methods", "list_models", "list_modules"]
