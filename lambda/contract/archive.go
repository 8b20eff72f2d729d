package contract

import (
	"net/url"
	"strings"
	"time"
)

const (
	// ArchivePrefix is where in the bucket a stage's archive is.
	ArchivePrefix = "archive/"
	// archiveSuffix ends the names of its objects, which have the form of the spilled ones.
	archiveSuffix = ".json.gz"
	// archiveMoment sorts names by the time of arrival: archive/2026-11-24/22/30/14.123
	archiveMoment = ArchivePrefix + "2006-01-02/15/04/05.000"
	// maxArchiveField bounds each of the three texts as it stands in a name, in bytes. S3
	// takes 1,024 for the whole; Nylas's have 40.
	maxArchiveField = 256
)

// ArchiveKey is the name of an object of the archive. It says enough of a notification to
// choose by, so that replaying, forwarding and erasing read no object that they do not
// need. In a name the texts are escaped as in a URL's path, and commas stand between:
//
//	archive/2026-11-24/22/30/14.123,<grant>,<type>,<notification>,<16 digits>.json.gz
type ArchiveKey struct {
	// ReceivedAt is when the front door received it, to the millisecond.
	ReceivedAt time.Time
	// GrantID, Type and ID are empty where the notification has none, or one that is longer
	// than 256 bytes as it would stand here: half an id is another id.
	GrantID, Type, ID string
	// Signature is the beginning of the one that was verified, by which two bodies never
	// have one name. The rest of it stays unknown to whoever sees the name.
	Signature string
}

// String returns the object's name.
func (k ArchiveKey) String() string {
	return ArchiveFrom(k.ReceivedAt) + "," + archiveField(k.GrantID) + "," + archiveField(k.Type) + "," + archiveField(k.ID) + "," + k.Signature + archiveSuffix
}

// ArchiveFrom returns what sorts right before the names of all that arrived at t or later.
func ArchiveFrom(t time.Time) string { return t.UTC().Format(archiveMoment) }

// ArchivableGrant tells whether names can hold this grant's id, so that it is found by it.
func ArchivableGrant(id string) bool { return id != "" && archiveField(id) != "" }

func archiveField(text string) string {
	escaped := url.PathEscape(text)
	if len(escaped) > maxArchiveField {
		return ""
	}
	return escaped
}

// ParseArchiveKey reads what [ArchiveKey.String] wrote; false for any other name.
func ParseArchiveKey(name string) (ArchiveKey, bool) {
	rest, ok := strings.CutSuffix(name, archiveSuffix)
	fields := strings.Split(rest, ",")
	if !ok || len(fields) != 5 {
		return ArchiveKey{}, false
	}
	k := ArchiveKey{Signature: fields[4]}
	var err error
	if k.ReceivedAt, err = time.Parse(archiveMoment, fields[0]); err != nil {
		return ArchiveKey{}, false
	}
	for i, text := range []*string{&k.GrantID, &k.Type, &k.ID} {
		if *text, err = url.PathUnescape(fields[i+1]); err != nil {
			return ArchiveKey{}, false
		}
	}
	return k, true
}
