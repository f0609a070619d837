"""Sources of carbon intensity, each as two pure functions."""
