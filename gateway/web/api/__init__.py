"""The tenants' API: a module for each subject with its views, handlers and routes; ``routes.py`` has the whole list."""
