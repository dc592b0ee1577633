"""Side-by-side benchmarks: only ratios taken in one run mean anything. ``python -m bench`` prints the table."""
