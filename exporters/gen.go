package exporters

//go:generate go test -run "TestMappingIsFresh|TestFormatGolden|TestSyslogGolden" . -update
