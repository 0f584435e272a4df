"""What other frameworks compute, exported as references."""
