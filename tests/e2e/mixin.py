# SPDX-License-Identifier: Apache-2.0
"""What deploy/mixin has: dashboards, rules, and the expressions in them."""

import json
import re
import subprocess

from exporter import ROOT

MIXIN = ROOT / "deploy" / "mixin"
DASHBOARDS = sorted((MIXIN / "dashboards").glob("*.json"))
WORDS = {"by", "on", "or", "and", "unless", "offset", "bool", "ignoring", "without", "group_left", "group_right"}


def dashboard(path):
    return json.loads(path.read_text())


def expressions(path):
    """(panel's title, expression) of each query."""
    return [
        (panel["title"], target["expr"]) for panel in dashboard(path)["panels"] for target in panel.get("targets", [])
    ]


def filled_in(expression, values):
    """With Grafana's variables: $name and ${name}."""
    for name, value in values.items():
        expression = expression.replace(f"${{{name}}}", value).replace(f"${name}", value)
    assert "$" not in expression, expression
    return expression


def metrics_of(expression):
    """Names of the metrics in a PromQL expression."""
    bare = re.sub(r'"(?:[^"\\]|\\.)*"', "", expression)
    bare = re.sub(r"\{[^}]*\}|\[[^]]*\]", "", bare)
    bare = re.sub(r"\b(by|on|without|ignoring)\s*\([^)]*\)", "", bare)
    names = re.findall(r"(?<![\w.])([a-zA-Z_:][\w:]*)\b(?!\s*\()", bare)
    return {
        name for name in names if name not in WORDS and not re.fullmatch(r"[0-9.]+[smhd]|[smhd]|inf|nan", name, re.I)
    }


def evaluated(source, *flags):
    """What jsonnet makes of a file of the mixin."""
    done = subprocess.run(["jsonnet", *flags, source], cwd=MIXIN, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def groups(kind):
    """Groups of rules: prometheusRules or prometheusAlerts."""
    return evaluated("-e", f"(import 'mixin.libsonnet').{kind}.groups")
