"""Watch many services as one: correlated logs, metrics and traces in causal order."""

__all__ = ["__version__"]


def __getattr__(name: str) -> object:
    if name == "__version__":
        from importlib.metadata import version

        return version("obskit")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
