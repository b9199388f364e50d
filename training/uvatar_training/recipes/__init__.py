"""How the networks are trained, one small YAML file each: TASK_NAME.yaml."""
