package main

//go:generate go test -run "TestManPagesAreFresh" . -update
