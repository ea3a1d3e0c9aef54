"""Where a package can run: autoscaling descriptions for BentoCloud and Kubernetes, written strictly."""
