"""The plan: params/*.yaml to checked, immutable settings, and the plug-ins that they name."""

from tasks.core.errors import PlanError
from tasks.plan.gate import load, load_plan
from tasks.plan.plugs import plugin
from tasks.plan.schema import Plan, Settings, Variant

__all__ = ["Plan", "PlanError", "Settings", "Variant", "load", "load_plan", "plugin"]
