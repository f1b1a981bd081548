"""What every room shares: typed parameters, table schemas, error words, the runtime."""
