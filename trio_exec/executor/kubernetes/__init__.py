"""The executor on Kubernetes: a pod for each container."""
