"""The toy recipe and its stores."""

from ..toy import device, recipe, signals_that_are_heard, stores, toy, whole  # noqa: F401
