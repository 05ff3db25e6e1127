"""What tenants' systems tell of their customers: one way in for a stream and for files, checked and put into the warehouse."""
