package redact

//go:generate go test -run "TestDocsAreFresh|TestRecordLinePerKindAndAction" . -update
