"""What KEDA takes as a ScaledObject: those fields of its CustomResourceDefinition (keda.sh/v1alpha1) that are of use.

Written down from KEDA's documentation of version 2.15 and its CRD, not from our own shapes.
"""

from __future__ import annotations

from typing import Any


def closed(required: tuple[str, ...] = (), **properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


INT32 = {"type": "integer", "minimum": -(2**31), "maximum": 2**31 - 1}
TEXT, FLAG = {"type": "string"}, {"type": "boolean"}
TEXTS = {"type": "object", "additionalProperties": TEXT}
WINDOW = closed(
    stabilizationWindowSeconds=INT32,
    selectPolicy=TEXT,
    policies={
        "type": "array",
        "items": closed(("periodSeconds", "type", "value"), periodSeconds=INT32, type=TEXT, value=INT32),
    },
)
TRIGGER = closed(
    ("metadata", "type"),
    type=TEXT,
    name=TEXT,
    metricType={"enum": ["AverageValue", "Value", "Utilization"]},
    useCachedMetrics=FLAG,
    authenticationRef=closed(("name",), name=TEXT, kind=TEXT),
    metadata=TEXTS,
)
SPEC = closed(
    ("scaleTargetRef", "triggers"),
    scaleTargetRef=closed(("name",), apiVersion=TEXT, kind=TEXT, name=TEXT, envSourceContainerName=TEXT),
    pollingInterval=INT32,
    cooldownPeriod=INT32,
    initialCooldownPeriod=INT32,
    idleReplicaCount=INT32,
    minReplicaCount=INT32,
    maxReplicaCount=INT32,
    fallback=closed(("failureThreshold", "replicas"), failureThreshold=INT32, replicas=INT32),
    advanced=closed(
        restoreToOriginalReplicaCount=FLAG,
        horizontalPodAutoscalerConfig=closed(name=TEXT, behavior=closed(scaleUp=WINDOW, scaleDown=WINDOW)),
    ),
    triggers={"type": "array", "items": TRIGGER},
)
SCALED_OBJECT = closed(
    ("apiVersion", "kind", "metadata", "spec"),
    apiVersion={"const": "keda.sh/v1alpha1"},
    kind={"const": "ScaledObject"},
    metadata=closed(("name",), name=TEXT, labels=TEXTS, annotations=TEXTS),
    spec=SPEC,
)
