"""Reproduction of the 2012 AlexNet paper: network, training, tables and figures."""

__version__ = "0.1.0"
