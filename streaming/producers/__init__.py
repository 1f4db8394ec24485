"""Producers: generated orders, and files replayed byte for byte. Every delivery is confirmed by the broker."""
