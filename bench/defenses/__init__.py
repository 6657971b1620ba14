"""Defences around a network, and what an attack needs to know of them."""
