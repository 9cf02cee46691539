{{- /* Where a probe asks: the kubelet is on the same host, so loopback stands for all addresses. */ -}}
{{- define "etm.probe" -}}
{{- $any := list "0.0.0.0" "::" -}}
host: {{ has .address $any | ternary "127.0.0.1" .address | quote }}
port: {{ .port }}
{{- end -}}

{{- /* Address and port, as one word. */ -}}
{{- define "etm.address" -}}
{{- if contains ":" .address }}[{{ .address }}]{{ else }}{{ .address }}{{ end }}:{{ .port }}
{{- end -}}
