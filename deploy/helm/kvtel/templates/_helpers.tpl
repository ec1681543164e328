{{- define "kvtel.name" -}}
{{- if contains "kvtel" .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ printf "%s-kvtel" .Release.Name | trunc 50 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "kvtel.selector" -}}
app.kubernetes.io/name: kvtel
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "kvtel.labels" -}}
{{ include "kvtel.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "kvtel.image" -}}
{{ required "image.repository: name the image that you built from deploy/Dockerfile and pushed" .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- define "kvtel.locked" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities: { drop: [ALL] }
seccompProfile: { type: RuntimeDefault }
{{- end }}

{{- /* The text of a file with the metrics' prefix. A metric of the engine itself keeps its name. */}}
{{- define "kvtel.prefixed" -}}
{{- $prefix := (index . 0).Values.metricsPrefix }}
{{- (index . 0).Files.Get (index . 1) | replace "vllm:" $prefix | replace (print $prefix "num_requests_running") "vllm:num_requests_running" }}
{{- end }}

{{- define "kvtel.port" -}}
{{ ternary "metrics" "kvtel" (eq .Values.mode "daemonset") }}
{{- end }}

{{- define "kvtel.hasWeb" -}}
{{- if .Values.web.configSecret }}yes{{ end }}
{{- end }}

{{- /* A quantity of Kubernetes as a number. */}}
{{- define "kvtel.number" -}}
{{- $power := dict "m" 0.001 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "P" 1e15 "E" 1e18 "Ki" 1024.0 "Mi" 1048576.0 "Gi" 1073741824.0 "Ti" 1099511627776.0 "Pi" 1125899906842624.0 "Ei" 1152921504606846976.0 }}
{{- $unit := regexFind "[a-zA-Z]+$" (toString .) }}
{{- if hasKey $power $unit }}{{ mulf (trimSuffix $unit .) (get $power $unit) }}{{ else }}{{ . }}{{ end }}
{{- end }}

{{- /* Stops what the API server would not let into a pod: with a sidecar it would refuse each pod of an engine. */}}
{{- define "kvtel.podMustBeValid" -}}
{{- $resources := .Values.resources | default dict }}
{{- $limits := $resources.limits | default dict }}
{{- range $of, $request := $resources.requests | default dict }}
{{- if hasKey $limits $of }}
{{- $limit := get $limits $of }}
{{- if gt (include "kvtel.number" $request | float64) (include "kvtel.number" $limit | float64) }}
{{- fail (printf "resources.requests.%s (%v) is more than resources.limits.%s (%v): set both" $of $request $of $limit) }}
{{- end }}
{{- end }}
{{- end }}
{{- if and .Values.nixlRings.enabled (eq (clean .Values.stores.path) (clean .Values.nixlRings.path)) }}
{{- fail (printf "stores.path and nixlRings.path are both %s: two volumes need two directories" .Values.stores.path) }}
{{- end }}
{{- end }}

{{- /* The labels by which a PodMonitor finds pods with a sidecar. A release of the same name may be in another namespace. */}}
{{- define "kvtel.sidecarLabels" -}}
kvtel-sidecar: {{ include "kvtel.name" . }}
kvtel-sidecar-of: {{ .Release.Namespace | quote }} # may be a number
{{- end }}

{{- /* The exporter, for a DaemonSet and for a sidecar. A sidecar has no readiness probe: whether the engine gets requests is not for the
exporter to say. Its port has a name of its own, because the engine may have one named metrics. */}}
{{- define "kvtel.container" -}}
{{- include "kvtel.podMustBeValid" . }}
{{- $port := include "kvtel.port" . -}}
name: kvtel
image: {{ include "kvtel.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
args:
  - serve
  - --web.listen-address=:{{ .Values.port }}
  - --store.dir={{ .Values.stores.path }}
  - {{ printf "--metrics.prefix=%s" .Values.metricsPrefix | quote }}
  {{- if .Values.nixlRings.enabled }}
  - --nixl.telemetry-dir={{ .Values.nixlRings.path }}
  {{- end }}
  {{- if include "kvtel.hasWeb" . }}
  - --web.config.file=/etc/kvtel/web.yml
  - --web.open-probes
  {{- end }}
  {{- range .Values.extraArgs }}
  - {{ . | quote }}
  {{- end }}
ports: [{ name: {{ $port }}, containerPort: {{ .Values.port }} }]
{{- if eq .Values.mode "daemonset" }}
readinessProbe: { httpGet: { path: /-/ready, port: {{ $port }}, scheme: {{ ternary "HTTPS" "HTTP" .Values.web.tls }} } }
{{- end }}
livenessProbe: { httpGet: { path: /-/healthy, port: {{ $port }}, scheme: {{ ternary "HTTPS" "HTTP" .Values.web.tls }} }, timeoutSeconds: 5 }
resources: {{ toJson .Values.resources }}
securityContext:
  {{- include "kvtel.locked" . | nindent 2 }}
  runAsUser: {{ .Values.runAsUser }}
  runAsGroup: {{ .Values.runAsGroup }}
volumeMounts:
  - { name: kvtel, mountPath: {{ .Values.stores.path }} }
  {{- if .Values.nixlRings.enabled }}
  - { name: kvtel-nixl, mountPath: {{ .Values.nixlRings.path }} }
  {{- end }}
  {{- if include "kvtel.hasWeb" . }}
  - { name: kvtel-web, mountPath: /etc/kvtel, readOnly: true }
  {{- end }}
  {{- if eq .Values.mode "sidecar" }}
  - { name: kvtel-no-token, mountPath: /var/run/secrets/kubernetes.io/serviceaccount, readOnly: true } # else the engine's token is put there
  {{- end }}
{{- end }}

{{- define "kvtel.webVolume" -}}
{{- if include "kvtel.hasWeb" . }}
- name: kvtel-web
  projected:
    defaultMode: {{ ternary "0440" "0444" (eq .Values.mode "daemonset") }} # an engine's pod may have no fsGroup
    sources:
      - secret: { name: {{ .Values.web.configSecret }} }
      {{- if .Values.web.tlsSecret }}
      - secret: { name: {{ .Values.web.tlsSecret }} }
      {{- end }}
{{- else if or .Values.web.tlsSecret .Values.web.tls }}
{{- fail "web.tls and web.tlsSecret need web.configSecret: a Secret whose web.yml has tls_server_config" }}
{{- end }}
{{- end }}

{{- /* The volumes of an engine's pod with a sidecar. */}}
{{- define "kvtel.sidecarVolumes" -}}
- name: kvtel
  emptyDir: { medium: Memory, sizeLimit: {{ .Values.stores.sizeLimit }} }
- name: kvtel-no-token
  emptyDir: { medium: Memory, sizeLimit: 4Ki } # a node with such a volume on its disk is not scaled down
{{- if .Values.nixlRings.enabled }}
- name: kvtel-nixl
  emptyDir: { medium: Memory, sizeLimit: {{ .Values.stores.sizeLimit }} }
{{- end }}
{{- include "kvtel.webVolume" . }}
{{- end }}

{{- /* A value as an expression of CEL. Kubernetes wants values of one type in a map or a list, hence dyn(). A map with the one key CEL is an
expression already. */}}
{{- define "kvtel.cel" -}}
{{- if kindIs "map" . }}
{{- if hasKey . "CEL" }}{{ .CEL }}{{ else }}{
{{- $comma := "" }}
{{- range $key, $value := . }}{{ $comma }}{{ toJson $key }}: dyn({{ include "kvtel.cel" $value }}){{ $comma = ", " }}{{ end -}}
}{{ end }}
{{- else if kindIs "slice" . }}[
{{- range $i, $value := . }}{{ if $i }}, {{ end }}dyn({{ include "kvtel.cel" $value }}){{ end -}}
]
{{- else }}{{ toJson . }}
{{- end }}
{{- end }}
