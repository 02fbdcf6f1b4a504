"""How close a model of a measured path comes to a measurement, and how close reality comes to itself."""
