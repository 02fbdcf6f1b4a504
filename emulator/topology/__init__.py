"""Which links exist, and the way through them: access, inter-satellite links, routes."""
