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
app.kubernetes.io/name: {{ include "elt-operator.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
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

{{- /* What the pods of operator and test have in common. */}}
{{- define "elt-operator.anyPod" -}}
enableServiceLinks: false  # a Service's variables would begin as the settings' do
securityContext:
  runAsNonRoot: true
  {{- with .Values.podSecurityContext }}
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

{{- define "elt-operator.confined" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}
