"""Files of scored calls for people and programs outside: each tenant's weekly export, and each night's compaction of results."""
