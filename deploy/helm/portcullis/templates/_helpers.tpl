{{- define "portcullis.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* Ten characters shorter than a name may be: `-headless` comes behind it. */}}
{{- define "portcullis.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 53 | trimSuffix "-" }}
{{- else if contains (include "portcullis.name" .) .Release.Name }}
{{- .Release.Name | trunc 53 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "portcullis.name" .) | trunc 53 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "portcullis.selector" -}}
app.kubernetes.io/name: {{ include "portcullis.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "portcullis.labels" -}}
{{ include "portcullis.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "portcullis.serviceAccount" -}}
{{- default (ternary (include "portcullis.fullname" .) "default" .Values.serviceAccount.create) .Values.serviceAccount.name }}
{{- end }}

{{- define "portcullis.image" -}}
{{- with .Values.image }}
{{- if .digest }}{{ .repository }}@{{ .digest }}{{ else }}{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end }}
{{- end }}

{{/* The port of an address that the pod listens on: {setting, address}. */}}
{{- define "portcullis.port" -}}
{{- $address := toString .address }}
{{- if not (regexMatch "^.+:[0-9]+$" $address) }}
{{- fail (printf "config.%s is %q: write an address with its port, for example 0.0.0.0:9191, so that the chart knows the port" .setting $address) }}
{{- end }}
{{- if regexMatch "^(127\\.|localhost:|\\[::1\\])" $address }}
{{- fail (printf "config.%s is %q, which nobody outside the pod reaches: write 0.0.0.0:%s" .setting $address (regexFind "[0-9]+$" $address)) }}
{{- end }}
{{- regexFind "[0-9]+$" $address }}
{{- end }}

{{- define "portcullis.adminPort" -}}
{{- include "portcullis.port" (dict "setting" "admin" "address" .Values.config.admin) }}
{{- end }}

{{/* HTTP or HTTPS: how probes and monitors reach the admin port. */}}
{{- define "portcullis.adminScheme" -}}
{{- $tls := (.Values.config.admin_options).tls | default dict }}
{{- if $tls.client_ca }}
{{- fail "config.admin_options.tls.client_ca: the kubelet's probes have no certificate; leave it away" }}
{{- end }}
{{- ternary "HTTPS" "HTTP" (not (empty $tls)) }}
{{- end }}

{{/* Where proxies ask, as YAML: a list of {name, port, protocol}. */}}
{{- define "portcullis.doors" -}}
- name: grpc
  port: {{ include "portcullis.port" (dict "setting" "listen.envoy_grpc" "address" .Values.config.listen.envoy_grpc) }}
  protocol: {{ ternary "https" "kubernetes.io/h2c" (not (empty (.Values.config.listen.envoy_grpc_options).tls)) }}
{{- range $index, $listener := .Values.config.listen.http }}
- name: {{ ternary "http" (printf "http-%d" $index) (eq $index 0) }}
  port: {{ include "portcullis.port" (dict "setting" (printf "listen.http[%d].address" $index) "address" $listener.address) }}
  protocol: {{ ternary "https" "http" (not (empty $listener.tls)) }}
{{- end }}
{{- with .Values.config.authority }}
{{- if .listen }}
- name: authority
  port: {{ include "portcullis.port" (dict "setting" "authority.listen" "address" .listen) }}
  protocol: {{ ternary "https" "http" (not (empty .tls)) }}
{{- end }}
{{- end }}
{{- end }}

{{/* portcullis.yaml: the configuration, with the files of `policies` where it does not name files itself. */}}
{{- define "portcullis.config" -}}
{{- $config := deepCopy .Values.config }}
{{- $named := $config.policies | default dict }}
{{- $kinds := dict "schema" "\\.cedarschema$" "files" "\\.cedar$" "links" "\\.links\\.(yaml|yml|json)$" "entities" "\\.entities\\.(yaml|yml|json)$" }}
{{- /* Policies about Portcullis itself, and those that are only tried, are named in their own sections. */}}
{{- $elsewhere := concat (list) (($config.authority).policies | default list) (($config.admin_options).policies | default list) }}
{{- $elsewhere = concat $elsewhere (($config.shadow).files | default list) (($config.shadow).schema | default list) (($config.shadow).links | default list) (($config.shadow).entities | default list) }}
{{- range $kind, $pattern := $kinds }}
{{- $files := list }}
{{- range $file, $text := $.Values.policies }}
{{- if and (regexMatch $pattern $file) (not (has $file $elsewhere)) }}{{ $files = append $files $file }}{{ end }}
{{- end }}
{{- if not (hasKey $named $kind) }}{{ $_ := set $named $kind $files }}{{ end }}
{{- end }}
{{- $_ := set $config "policies" $named }}
{{- toYaml $config }}
{{- end }}

{{- define "portcullis.configMap" -}}
{{- default (include "portcullis.fullname" .) .Values.existingConfigMap }}
{{- end }}

{{/* What Portcullis reads only when it starts: a change of it has to start new pods, and nothing else does. */}}
{{- define "portcullis.startOnly" -}}
{{- $config := omit .Values.config "policies" "issuers" "routes" "actions" "identity_headers" "reload" "shadow" }}
{{- $config | toJson | sha256sum }}
{{- end }}
