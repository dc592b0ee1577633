"""What several processes of one gateway have in common."""
