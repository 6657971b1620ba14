"""Defences, and what an attack needs to know of them."""
