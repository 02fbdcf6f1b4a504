"""Forecasts of the next seconds of a measured path, how good they are, and which predictor to take."""
