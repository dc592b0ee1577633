"""The store on PostgreSQL (extra ``postgres``). Imported only where ``store.url`` names one."""
