// Package samples holds notifications as Nylas sends them, each with its signature,
// for tests and for tools that play Nylas. Every id, name and address in them is
// made up.
package samples

import (
	"embed"
	"encoding/csv"
	"fmt"
	"slices"
	"strings"
)

// Secret is the webhook secret under which the samples are signed.
const Secret = "sample-webhook-secret-0001" //nolint:gosec // signs only the made-up samples

//go:embed *.json *.gz vectors.tsv
var files embed.FS

// Sample is one request body and the signature that Nylas would send with it.
type Sample struct {
	// Name is the file's name without its ending: "message_created".
	Name string
	Body []byte
	// Signature is the X-Nylas-Signature header under [Secret]: 64 hex digits.
	Signature string
	// Compressed tells that Body is gzip, as with Nylas's compressed_delivery.
	Compressed bool
}

// All returns the ten samples that are sent as JSON, sorted by name.
func All() []Sample {
	return slices.DeleteFunc(read(), func(s Sample) bool { return s.Compressed })
}

// Compressed returns the sample that is sent with compressed_delivery.
func Compressed() Sample {
	all := read()
	return all[slices.IndexFunc(all, func(s Sample) bool { return s.Compressed })]
}

// Get returns the sample of that name.
func Get(name string) (Sample, error) {
	var names []string
	for _, s := range All() {
		if s.Name == name {
			return s, nil
		}
		names = append(names, s.Name)
	}
	return Sample{}, fmt.Errorf("no sample %q; there are %s", name, strings.Join(names, ", "))
}

// read panics on an error: the files are part of the program, and the tests read
// all of them.
func read() []Sample {
	table, err := files.Open("vectors.tsv")
	if err != nil {
		panic(err)
	}
	rows := csv.NewReader(table)
	rows.Comma = '\t' // file, secret, signature, bytes
	records, err := rows.ReadAll()
	if err != nil {
		panic(err)
	}
	var all []Sample
	for _, record := range records[1:] {
		body, err := files.ReadFile(record[0])
		if err != nil {
			panic(err)
		}
		name, compressed := strings.CutSuffix(record[0], ".json.gz")
		all = append(all, Sample{
			Name:       strings.TrimSuffix(name, ".json"),
			Body:       body,
			Signature:  record[2],
			Compressed: compressed,
		})
	}
	slices.SortFunc(all, func(a, b Sample) int { return strings.Compare(a.Name, b.Name) })
	return all
}
