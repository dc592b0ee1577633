"""The boundary to plugins: every call guarded, what is returned cleaned, logins kept."""
