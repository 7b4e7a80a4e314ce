{{- define "fanlight.name" -}}
{{- if contains .Chart.Name .Release.Name -}}{{ .Release.Name | trunc 52 | trimSuffix "-" }}
{{- else -}}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 52 | trimSuffix "-" }}{{- end -}}
{{- end }}

{{- define "fanlight.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "fanlight.labels" -}}
{{ include "fanlight.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "fanlight.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}{{ default (include "fanlight.name" .) .Values.serviceAccount.name }}
{{- else -}}{{ default "default" .Values.serviceAccount.name }}{{- end -}}
{{- end }}

{{- define "fanlight.image" -}}
{{- if .Values.image.digest -}}{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}{{- end -}}
{{- end }}

{{- /* What probes ask: an address that means all of them is answered on loopback too. */ -}}
{{- define "fanlight.probeHost" -}}
{{- if eq .Values.metrics.address "0.0.0.0" -}}127.0.0.1
{{- else if eq .Values.metrics.address "[::]" -}}::1
{{- else -}}{{ .Values.metrics.address | trimPrefix "[" | trimSuffix "]" }}{{- end -}}
{{- end }}

{{- /* The agent's whole configuration: what the user gave, and what the pod decides. */ -}}
{{- define "fanlight.config" -}}
{{- $config := deepCopy .Values.config -}}
{{- $_ := set $config "metrics" (dict "listen" (printf "%s:%d" .Values.metrics.address (int .Values.metrics.port))) -}}
{{- $_ := set $config "bpffs" (printf "%s/fanlight" (trimSuffix "/" .Values.bpffs)) -}}
{{- if .Values.pseudonyms.secretName -}}
{{- $_ := set $config "redact" (merge (dict "key_file" (printf "/etc/fanlight/pseudonyms/%s" .Values.pseudonyms.key)) (default (dict) $config.redact)) -}}
{{- end -}}
{{ toYaml $config }}
{{- end }}
