"""deploy/kubernetes for real, in the cluster that KUBECONFIG names; script/cluster test has one."""
