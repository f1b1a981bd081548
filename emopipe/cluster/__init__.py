"""Work shared among the machines of a Ray cluster, none of which needs a file system of another one."""
