"""The work itself: plug-ins, steps and the plan that names them."""
