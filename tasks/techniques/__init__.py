"""Plug-ins: one file, one technique. The folder is the registry."""
