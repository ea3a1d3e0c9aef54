"""The service over a package folder. Ships alone: it imports nothing else of this repository."""
