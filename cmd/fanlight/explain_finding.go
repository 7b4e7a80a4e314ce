package main

import (
	"encoding/json"
	"fmt"
	"text/tabwriter"

	"github.com/fanlight-io/fanlight/doctor"
)

// findingNamed returns what the doctor can find by that name.
func findingNamed(id string) (doctor.Kind, bool) {
	for _, k := range doctor.Kinds() {
		if k.ID == id {
			return k, true
		}
	}
	return doctor.Kind{}, false
}

func findingIDs() (ids []string) {
	for _, k := range doctor.Kinds() {
		ids = append(ids, k.ID)
	}
	return ids
}

// explainFinding tells of one finding; its placeholders, such as {interface},
// stay.
func explainFinding(e env, k doctor.Kind, inJSON bool) error {
	if inJSON {
		return json.NewEncoder(e.stdout).Encode([]doctor.Kind{k})
	}
	fmt.Fprintf(e.stdout, "%s: a finding of 'fanlight doctor': %s\n\n%s\n\nWhat helps: %s\n", k.ID, k.Title, k.Meaning, k.Remedy)
	for _, c := range k.Commands {
		fmt.Fprintf(e.stdout, "  %s\n", c)
	}
	_, err := fmt.Fprintf(e.stdout, "\nSource: %s\n", k.Source)
	return err
}

// writeFindings lists what the doctor can find.
func writeFindings(e env) error {
	w := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\nFINDING\tOF 'FANLIGHT DOCTOR'")
	for _, k := range doctor.Kinds() {
		fmt.Fprintf(w, "%s\t%s\n", k.ID, k.Title)
	}
	return w.Flush()
}
