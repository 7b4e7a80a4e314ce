package doctor

// Kind is something that can be wrong, without a host on which it is. Texts may
// hold placeholders such as {interface}.
type Kind struct {
	ID       string   `json:"id"`
	Title    string   `json:"title"`
	Meaning  string   `json:"meaning"`
	Remedy   string   `json:"remedy"`
	Commands []string `json:"commands"`
	// Source is where the behaviour is laid down: an RFC, or a file of the kernel.
	Source string `json:"source"`
}

type kind struct {
	Kind
	well string // what to say if it was looked at and is not so
	look func(*Snapshot) verdict
	// stage orders the looks: those of a later one are only for what no earlier one
	// explains.
	stage int
}

const stages = 3

// Kinds returns all that can be found, the likeliest first among those of the
// same grade.
func Kinds() []Kind {
	list := make([]Kind, len(kinds))
	for i := range kinds {
		list[i] = kinds[i].Kind
	}
	return list
}

// kinds are filled in by init, because the looks use what lists them.
var kinds []kind

func init() {
	for _, part := range [][]kind{linkKinds, membershipKinds, wireKinds, ipKinds, socketKinds, hostKinds, agentKinds} {
		kinds = append(kinds, part...)
	}
}
