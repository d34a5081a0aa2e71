"""What tests stand on: a real PostgreSQL, a running Temula, tenants in it, and a receiver that keeps a ledger."""
