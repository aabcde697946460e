"""The shop's worker: takes orders from a Redis list and writes their invoices to PostgreSQL."""
