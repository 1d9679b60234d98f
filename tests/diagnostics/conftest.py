"""The toy recipe and its stores."""

from ..toy import machine, recipe, signals_that_are_heard, stores, toy  # noqa: F401
