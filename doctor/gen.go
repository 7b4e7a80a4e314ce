package doctor

//go:generate go test -run TestDocsAreFresh . -update
