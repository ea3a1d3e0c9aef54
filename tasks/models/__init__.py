"""Plug-ins: one file, one architecture: `build(**params)`. The folder is the registry."""
