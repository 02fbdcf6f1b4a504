"""Models of a measured path that are calibrated on recordings, one module a kind."""
