"""From distance and weather to rate and error: budgets, atmosphere, rain, modulation and coding."""
