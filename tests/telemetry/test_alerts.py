"""The queries and alerts of docs/telemetry.md: of metrics that there are, and they fire."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from agentkit.telemetry import semconv as s

PAGE = (Path(__file__).parents[2] / "docs" / "telemetry.md").read_text(encoding="utf-8")
QUESTIONS = PAGE.partition("## Questions to ask")[2]
RULES = QUESTIONS.partition('title="alerts.yaml"\n')[2].partition("```")[0]
PARTS = ("_bucket", "_count", "_sum")


FIRES = """
rule_files: [alerts.yaml]
evaluation_interval: 1m
tests:
- interval: 1m
  input_series:
  - {series: 'agentkit_spent_total{gen_ai_agent_name="clerk"}', values: '1+0.5x60'}
  - {series: 'agentkit_runs_total{agentkit_outcome="completed"}', values: '0+9x60'}
  - {series: 'agentkit_runs_total{agentkit_outcome="failed"}', values: '0+1x60'}
  - {series: 'agentkit_runs_total{gen_ai_agent_name="clerk",agentkit_outcome="limit",agentkit_limit="cost"}',
     values: '0+1x60'}
  - {series: 'gen_ai_client_operation_duration_seconds_bucket{gen_ai_request_model="gpt-5.5",le="20.48"}',
     values: '0+1x60'}
  - {series: 'gen_ai_client_operation_duration_seconds_bucket{gen_ai_request_model="gpt-5.5",le="40.96"}',
     values: '0+2x60'}
  - {series: 'gen_ai_client_operation_duration_seconds_bucket{gen_ai_request_model="gpt-5.5",le="+Inf"}',
     values: '0+2x60'}
  alert_rule_test:
  - {alertname: AgentsSpendTooMuch, eval_time: 20m, exp_alerts: []}
  - alertname: AgentsSpendTooMuch
    eval_time: 55m
    exp_alerts:
    - {exp_labels: {severity: page}, exp_annotations: {summary: More than 20 dollars within an hour}}
  - alertname: AgentsReachTheirLimits
    eval_time: 20m
    exp_alerts:
    - exp_labels: {gen_ai_agent_name: clerk, agentkit_limit: cost}
      exp_annotations: {summary: clerk runs into its limit of cost}
  - alertname: AgentsFail
    eval_time: 25m
    exp_alerts:
    - {exp_labels: {severity: page}, exp_annotations: {summary: More than one run in twenty fails}}
  - alertname: ModelIsSlow
    eval_time: 25m
    exp_alerts:
    - {exp_labels: {gen_ai_request_model: gpt-5.5}, exp_annotations: {summary: gpt-5.5 takes more than 30 s}}
- interval: 1m
  input_series:
  - {series: 'agentkit_spent_total{gen_ai_agent_name="clerk"}', values: '1+0.1x60'}
  - {series: 'agentkit_runs_total{agentkit_outcome="completed"}', values: '0+9x60'}
  - {series: 'agentkit_runs_total{agentkit_outcome="cancelled"}', values: '0+9x60'}
  alert_rule_test:
  - {alertname: AgentsSpendTooMuch, eval_time: 55m, exp_alerts: []}
  - {alertname: AgentsFail, eval_time: 55m, exp_alerts: []}
- interval: 1m
  input_series:
  - {series: 'agentkit_spent_total{instance="a"}', values: '_ _ 15'}
  - {series: 'agentkit_spent_total{instance="b"}', values: '_x20 15'}
  promql_expr_test:
  - {expr: 'sum(increase(agentkit_spent_total[1h]))', eval_time: 50m, exp_samples: []}
  - expr: sum(max_over_time(agentkit_spent_total[1h]))
    eval_time: 50m
    exp_samples: [{labels: '{}', value: 30}]
"""


def series() -> dict[str, set[str]]:
    """What Prometheus calls the metrics, and the labels that each has."""
    named: dict[str, set[str]] = {}
    for name, metric in s.METRICS.items():
        plain = underscored(name) + ("_seconds" if metric.unit == "s" else "")
        labels = {underscored(each) for each in metric.attributes}
        if metric.buckets:
            named |= {plain + part: labels | {"le"} for part in PARTS}
        else:
            named[plain + "_total"] = labels
    return named


def underscored(name: str) -> str:
    """A name of OpenTelemetry's in Prometheus."""
    return name.replace(".", "_")


def test_queries_and_alerts_ask_for_metrics_and_labels_that_there_are() -> None:
    """Whoever copies a query into a dashboard gets an answer."""
    known = series()
    queries = re.findall(r"^\| .+ \| `(.+)` \|$", QUESTIONS.partition("In Phoenix")[0], re.MULTILINE)
    queries += [rule.partition("annotations:")[0] for rule in RULES.split("- alert:")[1:]]
    assert len(queries) == 15, "11 questions and 4 alerts"
    for query in queries:
        asked = set(re.findall(r"\b(?:gen_ai|agentkit)_\w+_(?:bucket|count|sum|total)\b", query))
        names = set(re.findall(r"\b(?:gen_ai|agentkit|error)_\w+", query)) - asked
        assert asked, query
        assert asked <= known.keys(), query
        assert all(names <= known[each] for each in asked), query


def test_alerts_fire_on_cost_limits_failures_and_slow_models_and_not_before(tmp_path: Path) -> None:
    """Prometheus' own tool runs the rules of the page; cancelled runs and small sums wake nobody."""
    tool = shutil.which("promtool")
    if tool is None:
        pytest.skip("there is no promtool here; Debian's package prometheus has it")
    (tmp_path / "alerts.yaml").write_text(RULES, encoding="utf-8")
    (tmp_path / "fires.yaml").write_text(FIRES, encoding="utf-8")
    done = subprocess.run([tool, "test", "rules", "fires.yaml"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
