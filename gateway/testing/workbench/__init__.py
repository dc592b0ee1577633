"""The workbench of ``gateway plugins try``: a plugin in a real gateway, each call of it seen on one local page."""
