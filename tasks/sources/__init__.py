"""Plug-ins: one file, one way to read raw data: `load(**params) -> Data`. The folder is the registry."""
