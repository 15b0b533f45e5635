"""edgetl: from labelled medical images to a small, verified, measured network on a phone."""

__all__ = ["__version__"]

__version__ = "0.1.0"
