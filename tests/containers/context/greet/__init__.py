"""A pure-Python package, as pip would install it."""

from .words import greeting
