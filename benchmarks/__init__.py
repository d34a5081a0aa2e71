"""What backs every figure in the README; each prints its own comparison from one run."""
