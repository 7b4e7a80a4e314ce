package dashboards

//go:generate go test -run TestDashboardsAreRendered . -update
