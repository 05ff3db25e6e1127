"""Tools over the Model Context Protocol: a task's functions as a server, in this process or another, and the port to either."""
