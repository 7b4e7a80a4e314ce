package observe

import (
	"github.com/fanlight-io/fanlight/bpf"
)

// Facilities tries what observing needs of the thread's namespace beside the
// programs, each for itself.
func Facilities() []bpf.Facility {
	_, memberships := readMemberships()
	_, bridges := readBridges()
	_, routes := readRoutes()
	return []bpf.Facility{
		{Name: "memberships of this host", Err: memberships, Without: "nobody is told which groups this host subscribes to, or that they are silent"},
		{Name: "groups of bridges", Err: bridges, Without: "groups that a Linux bridge forwards look unsubscribed"},
		{Name: "multicast routes", Err: routes, Without: "groups that the kernel routes look unsubscribed, and no packets of the wrong interface are counted"},
	}
}
