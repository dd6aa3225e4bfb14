"""Feature selection with sparse networks, for any data matrix; needs scikit-learn (``pip install 'siftrl[selection]'``)."""

from .quick_selection import QuickSelection

__all__ = ["QuickSelection"]
