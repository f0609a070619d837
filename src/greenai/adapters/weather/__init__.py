"""Weather services, one file each."""
