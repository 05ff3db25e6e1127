"""What people see: text from stores, files and models, shown so that it cannot act, and the way to the terminal."""
