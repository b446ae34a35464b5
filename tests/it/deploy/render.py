"""Renders a chart with Helm's own engine: reads {chart, cases: [values as YAML]}, writes for each case
{lint: [[severity, text]], refused: text or null, files: {name: text}}."""

import json
import sys

import helm_python as helm

task = json.load(sys.stdin)
answers = []
with helm.Chart.load(task["chart"]) as chart:
    for text in task["cases"]:
        answer = {"lint": [], "refused": None, "files": {}}
        answers.append(answer)
        try:
            values = helm.values_from_yaml(text)
            answer["files"] = chart.render(values, name="portcullis", namespace="portcullis")
        except helm.HelmError as error:
            answer["refused"] = str(error)
            continue
        report = helm.lint(task["chart"], values, strict=True, kube_version="v1.37.0")
        answer["lint"] = [[found["severity"], found["error"]] for found in report["messages"]]
json.dump(answers, sys.stdout)
