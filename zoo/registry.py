"""Names of networks and methods: each written once, where the thing is defined.

A network is registered by decorating its class in `zoo/<method>/`; a method is a folder of `zoo` with a `module.py`,
and `<name>_module.py` for each further LightningModule that it has, "<method>/<name>".
Both lists are closed: nothing outside the package can be built through them, whatever a file says.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Callable, Iterable
from fnmatch import fnmatch
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from torch import nn

    from zoo.module import ZooModule

Network = TypeVar("Network", bound="type[nn.Module]")

_networks: dict[str, type[nn.Module]] = {}


def register(name: str) -> Callable[[Network], Network]:
    """Register a network class under the name that `get_network` builds it by.

    Args:
        name: lower-case name with hyphens, unique in the zoo, for instance "spe-gine".

    Returns:
        The decorator, which returns the class unchanged.

    Raises:
        ValueError: another class already has the name.
    """

    def decorate(network: Network) -> Network:
        known = _networks.setdefault(name, network)
        if (known.__module__, known.__qualname__) != (network.__module__, network.__qualname__):
            raise ValueError(f"name={name!r} is already the name of {known.__module__}.{known.__qualname__}")
        return network

    return decorate


def unknown(kind: str, name: str, allowed: Iterable[str]) -> ValueError:
    """Return the error for a name that is not in a closed list, with the closest names that are."""
    allowed = sorted(allowed)
    close = difflib.get_close_matches(name, allowed, n=3)
    hint = f"did you mean {' or '.join(map(repr, close))}?" if close else f"allowed: {', '.join(allowed)}"
    return ValueError(f"unknown {kind} {name!r}; {hint}")


def list_methods() -> list[str]:
    """Return the methods of the zoo: the folders of `zoo` that define a LightningModule."""
    import zoo

    folders = (module.name for module in pkgutil.iter_modules(zoo.__path__) if module.ispkg)
    return sorted(name for name in folders if find_spec(f"zoo.{name}.module") is not None)


def list_models(pattern: str = "*") -> list[str]:
    """Return the registered network names that match a shell-style pattern, sorted."""
    for method in list_methods():
        if find_spec(f"zoo.{method}.network") is not None:  # closed-form methods have none
            importlib.import_module(f"zoo.{method}.network")
    return sorted(name for name in _networks if fnmatch(name, pattern))


def get_network_class(name: str) -> type[nn.Module]:
    """Return a registered network class.

    Raises:
        ValueError: no network has the name.
    """
    if name not in list_models():
        raise unknown("network", name, _networks)
    return _networks[name]


def get_network(name: str, /, **kwargs: Any) -> nn.Module:
    """Build a registered network from its name and plain keyword arguments.

    Raises:
        ValueError: no network has the name.
        TypeError: the network takes no such argument.
    """
    return get_network_class(name)(**kwargs)


def list_modules() -> list[str]:
    """Return the LightningModules of the zoo: each method, and "<method>/<name>" for further ones of a method."""
    import zoo

    names = []
    for method in list_methods():
        files = pkgutil.iter_modules([f"{path}/{method}" for path in zoo.__path__])
        further = (file.name.removesuffix("_module") for file in files if file.name.endswith("_module"))
        names += [method, *(f"{method}/{name}" for name in further)]
    return sorted(names)


def get_module_class(name: str) -> type[ZooModule]:
    """Return a LightningModule's class.

    Args:
        name: of a method, whose class is in `zoo/<method>/module.py`; or "<method>/<name>", see `list_modules`.

    Raises:
        ValueError: the zoo has no such module.
    """
    if name not in list_modules():
        raise unknown("method", name, list_modules())
    method, _, further = name.partition("/")
    module = importlib.import_module(f"zoo.{method}.{further}_module" if further else f"zoo.{method}.module")
    from zoo.module import ZooModule

    own = (value for value in vars(module).values() if isinstance(value, type) and value.__module__ == module.__name__)
    return next(value for value in own if issubclass(value, ZooModule))
