{{- define "elt-operator.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "elt-operator.fullname" -}}
{{- $name := include "elt-operator.name" . }}
{{- if contains $name .Release.Name }}
{{- $name = .Release.Name }}
{{- else }}
{{- $name = printf "%s-%s" .Release.Name $name }}
{{- end }}
{{- default $name .Values.fullnameOverride | trunc 52 | trimSuffix "-" }}
{{- end }}

{{- /* The name of what is not in the release's namespace: two releases of one name do not meet. */}}
{{- define "elt-operator.outsideName" -}}
{{- printf "%s-%s" .Release.Namespace (include "elt-operator.fullname" .) }}
{{- end }}

{{- define "elt-operator.serviceAccountName" -}}
{{- default (ternary (include "elt-operator.fullname" .) "default" .Values.serviceAccount.create) .Values.serviceAccount.name }}
{{- end }}

{{- define "elt-operator.image" -}}
{{- if .Values.image.digest }}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest }}
{{- else }}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) }}
{{- end }}
{{- end }}

{{- define "elt-operator.selectorLabels" -}}
{{ include "elt-operator.selectorOf" (list . "operator") }}
{{- end }}

{{- /* Takes a list: the root, and whose pods: those of operator, logs or log-reader. */}}
{{- define "elt-operator.selectorOf" -}}
app.kubernetes.io/name: {{ include "elt-operator.name" (first .) }}
app.kubernetes.io/instance: {{ (first .).Release.Name }}
app.kubernetes.io/component: {{ last . }}
{{- end }}

{{- /* Takes a list: the root, and labels that only this object has. */}}
{{- define "elt-operator.labels" -}}
{{- $root := first . }}
{{- $own := include "elt-operator.ownLabels" $root | fromYaml }}
{{- mergeOverwrite $own $root.Values.commonLabels (last .) | toYaml }}
{{- end }}

{{- define "elt-operator.ownLabels" -}}
{{ include "elt-operator.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "elt-operator.keeperName" -}}
{{- printf "%s-logs" (include "elt-operator.fullname" .) }}
{{- end }}

{{- define "elt-operator.apiName" -}}
{{- printf "%s-api" (include "elt-operator.fullname" .) }}
{{- end }}

{{- define "elt-operator.readerName" -}}
{{- printf "%s-log-reader" (include "elt-operator.fullname" .) }}
{{- end }}

{{- /* Whether there is a log reader on each node; empty: no. */}}
{{- define "elt-operator.readsOnNodes" -}}
{{- if and .Values.logs.enabled (eq .Values.logs.source "node") }}yes{{ end }}
{{- end }}

{{- /* How each program logs. */}}
{{- define "elt-operator.logSettings" -}}
- name: ELT_OPERATOR_LOG_LEVEL
  value: {{ .Values.settings.logLevel }}
- name: ELT_OPERATOR_LOG_FORMAT
  value: {{ .Values.settings.logFormat }}
{{- end }}

{{- define "elt-operator.maskPatterns" -}}
{{- with .Values.logs.maskPatterns }}
- name: ELT_OPERATOR_MASK_PATTERNS
  value: {{ toJson . | quote }}
{{- end }}
{{- end }}

{{- /* What the pods have in common, but for the log reader's. */}}
{{- define "elt-operator.anyPod" -}}
{{- include "elt-operator.podOf" (list . dict) }}
{{- end }}

{{- /* Takes a list: the root, and what else the security context has; null: nothing. */}}
{{- define "elt-operator.podOf" -}}
{{- $context := dict }}
{{- range $name, $value := merge (last .) (default dict (first .).Values.podSecurityContext) }}
{{- if not (kindIs "invalid" $value) }}
{{- $_ := set $context $name $value }}
{{- end }}
{{- end }}
{{- with first . -}}
enableServiceLinks: false  # a Service's variables would begin as the settings' do
securityContext:
  runAsNonRoot: true
  {{- with $context }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
  seccompProfile:
    type: RuntimeDefault
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- end }}

{{- define "elt-operator.confined" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}
