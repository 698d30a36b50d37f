"""Tests with a Kubernetes cluster; script/cluster test has one."""
