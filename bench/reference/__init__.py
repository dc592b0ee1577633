"""The same job done by FastAPI, SQLAlchemy and httpx, written the way their documentation shows."""
