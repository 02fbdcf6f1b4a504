"""Where satellites and moving places are: elements, propagation between knots, frames."""
