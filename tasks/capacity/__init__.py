"""How many requests one replica of the service takes, and how many replicas a day's load needs.

A room of its own because nothing here looks at a model: a load generator, the knee of a measured curve, queues, the
autoscaler's rules and a day on paper. What is measured goes to results/capacity.json, outside DVC's stages: it is about
this machine and this hour, not about the plan.
"""
