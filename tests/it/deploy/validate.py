"""Holds resources against the schemas of Kubernetes: reads {versions, resources}, writes what is wrong, one text each."""

import json
import sys

import kubernetes_validate

task = json.load(sys.stdin)
wrong = []
for version in task["versions"]:
    for resource in task["resources"]:
        name = f"{version} {resource['kind']} {resource['metadata']['name']}"
        try:
            kubernetes_validate.validate(resource, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            wrong.append(f"{name}: {'.'.join(map(str, error.path))}: {error.message}")
        except kubernetes_validate.SchemaNotFoundError:
            wrong.append(f"{name}: no such kind")
json.dump(wrong, sys.stdout)
