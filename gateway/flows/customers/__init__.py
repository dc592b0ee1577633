"""What is kept about a customer: found, shown, and erased."""
